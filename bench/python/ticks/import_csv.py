"""CSV of ticks into compacted days, beside what reads CSV into memory: `python ticks/import_csv.py --help`.

One file of HistData's form, made here, is read by each side in a process of its own. `silt import` parses the times and writes
days; DuckDB and Polars read into memory, with the times as texts and as times, and DuckDB into a file of its own too. Each says
how many ticks it has and the sums of their columns as integers, exact: they must be those of what was written, or the lines that
differ are counted and kept with the figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine

BEGIN_MS = 1_704_085_200_000  # 2024-01-01 00:00 in HistData's zone, five hours behind UTC all year
FORM = "DAT_ASCII_EURUSD_T_202401.csv"
COLUMNS = ("time_ms", "bid", "ask")  # the time since the first day began


def written(folder, ticks):
    """Make the file; its columns, the prices in units of 0.00001, are kept beside it."""
    random = np.random.default_rng(1)
    time_ms = np.cumsum(random.integers(1, 60, ticks))
    bid = 110_000 + np.cumsum(random.integers(-2, 3, ticks))
    ask = bid + random.integers(1, 9, ticks)
    np.save(folder / "truth.npy", np.array([time_ms, bid, ask]))
    day, rest = np.divmod(time_ms, 86_400_000)
    names = [str(date).replace("-", "") for date in np.datetime64("2024-01-01") + np.arange(day[-1] + 1)]
    with open(folder / FORM, "w", encoding="ascii") as file:
        for first in range(0, ticks, 100_000):
            rows = (column[first : first + 100_000].tolist() for column in (day, rest, bid, ask))
            file.writelines(
                f"{names[d]} {t // 3_600_000:02}{t // 60_000 % 60:02}{t // 1_000 % 60:02}{t % 1_000:03},"
                f"{b // 100_000}.{b % 100_000:05},{a // 100_000}.{a % 100_000:05},0\n"
                for d, t, b, a in zip(*rows, strict=True)
            )
    return folder / FORM


def duckdb(folder, into=":memory:", times=True):
    import duckdb

    at = "strptime(t, '%Y%m%d %H%M%S%g') + INTERVAL 5 HOUR" if times else "t"
    source = f"""read_csv('{folder / FORM}', header = false, delim = ',', auto_detect = false,
        columns = {{t: 'VARCHAR', bid: 'DOUBLE', ask: 'DOUBLE', volume: 'BIGINT'}})"""
    begin = time.perf_counter()
    db = duckdb.connect(into)
    db.execute(f"CREATE TABLE ticks AS SELECT {at} AS time, bid, ask FROM {source}")
    db.close() if into != ":memory:" else None
    yield time.perf_counter() - begin
    db = duckdb.connect(into) if into != ":memory:" else db
    found = db.execute("SELECT time, bid, ask FROM ticks").fetchnumpy()
    yield [found["time"].astype("M8[ms]").astype(np.int64) - BEGIN_MS if times else None, found["bid"], found["ask"]]


def polars(folder, times=True):
    import polars as pl

    names = ["t", "bid", "ask", "volume"]
    schema = dict(zip(names, [pl.String(), pl.Float64(), pl.Float64(), pl.Int64()], strict=True))
    begin = time.perf_counter()
    frame = pl.read_csv(folder / FORM, has_header=False, schema=schema, columns=[0, 1, 2])
    if times:
        frame = frame.with_columns(
            pl.col("t").str.to_datetime("%Y%m%d %H%M%S%3f", time_unit="ms") + pl.duration(hours=5)
        )
    yield time.perf_counter() - begin
    at = frame["t"].cast(pl.Int64).to_numpy() - BEGIN_MS if times else None
    yield [at, frame["bid"].to_numpy(), frame["ask"].to_numpy()]


READERS = {
    "duckdb": duckdb,
    "duckdb, times as texts": lambda folder: duckdb(folder, times=False),
    "duckdb, into a file": lambda folder: duckdb(folder, str(folder / "ticks.duckdb")),
    "polars": polars,
    "polars, times as texts": lambda folder: polars(folder, times=False),
}


def read(name, folder):
    """One reader, in this process; and what of it is not what was written."""
    reading = READERS[name](folder)
    took = next(reading)
    at, *prices = next(reading)
    found = [at, *(np.rint(price * 100_000).astype(np.int64) for price in prices)]
    truth = np.load(folder / "truth.npy")
    record = {"wall_s": took, "rows": len(prices[0])}
    for column, values, wanted in zip(COLUMNS, found, truth, strict=True):
        if values is not None:
            record[f"sum_{column}"] = int(values.sum())
            is_longer = len(values) != len(wanted)
            record[f"wrong_{column}"] = -1 if is_longer else int((values != wanted).sum())
    return record


def child(*command):
    """Run it, and give what it printed with the CPU and the memory that it took."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: {process.returncode}")
    took = {"wall_s": time.perf_counter() - begin, "cpu_s": usage.ru_utime + usage.ru_stime}
    return out, took | {"peak_mb": usage.ru_maxrss / 1_024}


def silt(options, folder, file):
    """The import into compacted days, and the sums of what is there."""
    days = folder / "days"
    subprocess.run(["rm", "-rf", days], check=True)
    command = [options.silt, "-q", "import", "ticks", "--format", "histdata", "--symbol", "EURUSD", file, "--compact"]
    _, record = child(*command, "-o", days)
    cents = "sum(CAST(round({} * 100000) AS INTEGER))"
    sql = f"SELECT count(*), sum(timestamp - {BEGIN_MS}), {cents.format('bid')}, {cents.format('ask')} FROM ticks"
    out, _ = child(options.silt, "-q", "query", days, sql, "--format", "csv")
    rows, *sums = map(int, out.splitlines()[-1].split(","))
    size = sum(one.stat().st_size for one in days.rglob("*") if one.is_file())
    return record | {"rows": rows, "bytes": size} | {f"sum_{c}": s for c, s in zip(COLUMNS, sums, strict=True)}


def main():
    parser = argparse.ArgumentParser(description="Measure importing CSV of ticks.")
    parser.add_argument("--silt", type=Path, help="the command, optimized")
    parser.add_argument("--ticks", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--reader", nargs=2, metavar=("NAME", "FOLDER"), help="measure this one here, and print it")
    options = parser.parse_args()
    if options.reader:
        print(json.dumps(read(options.reader[0], Path(options.reader[1]))))
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        record = {"ticks": options.ticks, "repeat": options.repeat, "machine": machine.facts(folder)}
        file = written(folder, options.ticks)
        truth = dict(zip((f"sum_{c}" for c in COLUMNS), np.load(folder / "truth.npy").sum(1).tolist(), strict=True))
        record |= {"file_bytes": file.stat().st_size, "truth": truth, "results": {}}
        runs = {name: [] for name in ("silt", *READERS)}
        for _ in range(options.repeat):
            for name, found in runs.items():
                (folder / "ticks.duckdb").unlink(missing_ok=True)
                if name == "silt":
                    found.append(silt(options, folder, file))
                    continue
                out, took = child(sys.executable, __file__, "--reader", name, folder)
                found.append(took | json.loads(out.splitlines()[-1]))
    for name, found in runs.items():
        own = record["results"][name] = {key: median(run[key] for run in found) for key in found[0]}
        sums = {key: found[0][key] for key in truth if key in found[0]}
        own["is_equal"] = found[0]["rows"] == options.ticks and sums == {key: truth[key] for key in sums}
        assert own["is_equal"] or name != "silt", (found, truth)
        wrong = {key: own[key] for key in own if key.startswith("wrong_") and own[key]}
        end = "" if own["is_equal"] and not wrong else f"  NOT what was written: {wrong}"
        rate = options.ticks / own["wall_s"] / 1e6
        print(f"{name:24}{rate:6.2f} million/s {own['wall_s']:7.2f} s {own['peak_mb']:7.0f} MB{end}", flush=True)
    print(f"kept as {kept.keep(record, options.results, 'ticks-csv')}")


if __name__ == "__main__":
    main()
