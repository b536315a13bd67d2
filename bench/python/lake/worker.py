"""One phase in a process of its own: `worker.py PHASE ROWS FOLDER`. Prints one line of JSON."""

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median

import data
import polars as pl

ZSTD = 3  # of all: what Polars' own files have
TIMES = 9


def size_bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fill(rows, folder):
    """The store that publishes."""
    from siltstone.ticks import TickStore, TickStoreConfig

    config = TickStoreConfig.production(
        "default", sqlite_base_path=folder / "ticks", max_ticks_per_symbol=1
    )
    with TickStore(config) as store:
        for number in data.days(rows):
            frame = data.day(number).select("symbol", "time", "bid", "ask", "spread")
            report = store.store_ticks(frame, lp="YOFX")
        assert report.written == rows
    return {"bytes": sum(file.stat().st_size for file in folder.rglob("*.db"))}


def deltalake(rows, folder):
    """The same frame by pyarrow and deltalake, from memory: a partition a day, as it arrived."""
    import deltalake

    table = data.whole(rows).to_arrow()
    properties = deltalake.WriterProperties(compression="ZSTD", compression_level=ZSTD)
    start = time.perf_counter()
    deltalake.write_deltalake(
        folder / "deltalake", table, partition_by=["day"], writer_properties=properties
    )
    took = time.perf_counter() - start
    record = {"wall_s": took, "peak_bytes": peak_bytes(), "frame_bytes": table.nbytes}
    return record | {"bytes": size_bytes(folder / "deltalake")}


def sorted_tables(rows, folder):
    """What each engine writes itself, sorted by symbol and time."""
    import deltalake
    import duckdb

    frame = data.whole(rows).sort("symbol", "time_ns")
    took = {}
    start = time.perf_counter()
    frame.write_parquet(folder / "polars.parquet", compression="zstd", compression_level=ZSTD)
    took["polars"] = {
        "wall_s": time.perf_counter() - start,
        "bytes": (folder / "polars.parquet").stat().st_size,
    }
    start = time.perf_counter()
    to = f"'{folder}/duckdb.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD})"
    duckdb.sql(f"COPY frame TO {to}")
    took["duckdb"] = {
        "wall_s": time.perf_counter() - start,
        "bytes": (folder / "duckdb.parquet").stat().st_size,
    }
    properties = deltalake.WriterProperties(compression="ZSTD", compression_level=ZSTD)
    by_day = frame.sort("day", "symbol", "time_ns").to_arrow()
    table = folder / "sorted"
    deltalake.write_deltalake(table, by_day, partition_by=["day"], writer_properties=properties)
    took["deltalake"] = {"bytes": size_bytes(table)}
    # What Polars makes of each file of the lake: the same rows in the same files.
    (folder / "again").mkdir()
    total = 0
    for n, file in enumerate((folder / "lake/ticks").rglob("*.parquet")):
        again = folder / f"again/{n}.parquet"
        pl.read_parquet(file, hive_partitioning=False).write_parquet(
            again, compression="zstd", compression_level=ZSTD
        )
        total += again.stat().st_size
        again.unlink()
    took["polars, file by file"] = {"bytes": total}
    return took


def check(rows, folder):
    """The lake has the rows of the frame."""
    want = data.answer(data.whole(rows))
    got = data.answer(pl.scan_delta(f"{folder}/lake/ticks"))
    assert got == want, f"the lake has {got}, not {want}"
    files = len(list((folder / "lake").rglob("*.parquet")))
    return {"answer": got, "bytes": size_bytes(folder / "lake"), "files": files}


def query(rows, folder):
    """A symbol's hour, from a scan that is opened anew each time."""
    import duckdb
    import duckdb_extension_delta

    con = duckdb.connect()
    extension = next(Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
    con.execute(f"LOAD '{extension}'")
    until = data.HOUR_FIRST_NS + data.HOUR_NS
    where = f"symbol = '{data.SYMBOL}' AND day = DATE '2026-01-21'"
    where += f" AND time_ns >= {data.HOUR_FIRST_NS} AND time_ns < {until}"

    def duck(table):
        return lambda: con.execute(f"SELECT bid, ask, time_ns FROM {table} WHERE {where}").pl()

    def scan(frame):
        return lambda: data.hour(frame()).select("bid", "ask", "time_ns").collect()

    asks = {
        "duckdb, lake": duck(f"delta_scan('{folder}/lake/ticks')"),
        "duckdb, its Parquet": duck(f"read_parquet('{folder}/duckdb.parquet')"),
        "duckdb, sorted Delta": duck(f"delta_scan('{folder}/sorted')"),
        "polars, lake": scan(lambda: pl.scan_delta(f"{folder}/lake/ticks")),
        "polars, its Parquet": scan(lambda: pl.scan_parquet(folder / "polars.parquet")),
        "polars, sorted Delta": scan(lambda: pl.scan_delta(f"{folder}/sorted")),
    }
    frame = data.day(2).lazy().with_columns(day=pl.col("time").dt.date())
    want = data.answer(data.hour(frame))
    took = {name: [] for name in asks}
    for run in range(TIMES + 1):
        for name, ask in asks.items():
            start = time.perf_counter()
            got = ask()
            took[name].append(time.perf_counter() - start)
            if run == 0:
                assert data.answer(got) == want, f"{name}: {data.answer(got)}, not {want}"
    return {"answer": want, "wall_s": {name: median(all_of[1:]) for name, all_of in took.items()}}


def main():
    phase, rows, folder = sys.argv[1:]
    phases = {
        "fill": fill,
        "deltalake": deltalake,
        "sorted": sorted_tables,
        "check": check,
        "query": query,
    }
    print(json.dumps(phases[phase](int(rows), Path(folder))))


if __name__ == "__main__":
    main()
