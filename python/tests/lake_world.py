"""What the tests of a lake share: a site that publishes, and the rows that its own files have."""

import io
import json
import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import siltstone
from siltstone.ticks import TickStore, TickStoreConfig

DAY_NS = 86_400_000_000_000
FIRST_NS = pd.Timestamp("2026-03-02", tz="UTC").value
SYMBOLS = {"EURUSD": 300, "GBPUSD": 300, "XAUUSD": 2_100}  # the last one's days go into blocks
#: Of each table of a lake, what our own SQL gives of it; a point's time is in µs.
OWN = {
    "runs": "SELECT simulation_id, status FROM simulations",
    "run_metrics": "SELECT simulation_id, step_number, name, value FROM simulation_metrics",
    "temperature": "SELECT simulation_id, step, sensor, celsius, note FROM temperature",
    "episodes": "SELECT context_hash, performance_score, timestamp FROM episodes",
    "concepts": "SELECT id, name, access_count FROM concepts",
    "relationships": "SELECT source_concept_id, target_concept_id, strength FROM concept_relationships",
    "learning_events": "SELECT task_type, performance_delta, parameters FROM learning_events",
    "series": "SELECT key, length FROM series",
    "series_points": """SELECT key, CAST(strftime('%s', substr(index_value, 1, 19)) AS INTEGER) * 1000000 AS time,
        substr(index_value, 1, 4) AS year, iif(typeof(value) = 'text', NULL, value) AS value,
        iif(typeof(value) = 'integer', value, NULL) AS value_integer,
        iif(typeof(value) = 'text', value, NULL) AS value_text FROM time_series_data""",
}
TICKS = """SELECT symbol, time_ns / 1000 AS time, time_ns, bid, ask, spread, lp_source, broker_id,
    date(time_ns / 1000000000, 'unixepoch') AS day FROM ticks"""


def write_ticks(folder: Path, site: int, days: int = 2) -> None:
    """Ticks whose sums are exact in any order."""
    with TickStore(TickStoreConfig.production(f"B-{site}", sqlite_base_path=folder)) as store:
        for day in range(days):
            for at, (symbol, n) in enumerate(SYMBOLS.items()):
                time = FIRST_NS + day * DAY_NS + np.arange(n) * (DAY_NS // n) + 1_001 * site + at
                bid = (np.arange(n) + 64 * at) / 64
                ask = bid + (1 + np.arange(n) % 4) / 64
                store.store_ticks(symbol, time, bid, ask, ask - bid, lp=f"LP-{(day + at) % 2}")


def write_file(path: Path, site: int) -> None:
    """Runs, memories and series in one file."""
    with siltstone.open(path) as db:
        experiment = db.experiment(f"exp-{site}")
        for run in range(4):
            sim = experiment.create_simulation_context(f"sim-{run}", {"rate": run / 4, "site": site})
            sim.define_table("temperature", {"sensor": "category", "celsius": "float64", "note": "text"})
            for step in range(10):
                sim.log_metrics({"loss": 2.0**-step, "gain": float(site + run)}, step)
                celsius = [step / 4, None if run == 0 else -step / 4]
                sim.log("temperature", step=step, sensor=["north", "south"], celsius=celsius, note=[None, "é ☃"])
            if run == 3:
                sim.fail("on purpose")
            else:
                sim.complete()
        memory = db.memory
        for n in range(20):
            memory.store_episode({"n": n}, n / 8, f"maze-{n % 3}", timestamp=1e9 + n)
            memory.store_learning_event("maze", n / 16, "explore", {"n": n} if n % 2 else None, 1e9 + n)
        ids = [memory.store_concept(f"concept {n}", [n / 2, 1.0, -0.0]) for n in range(5)]
        memory.add_concept_relationships([(a, b, "near", (a + b) / 4) for a in ids for b in ids if a < b])
        hours = pd.date_range("2025-12-31 12:00", periods=48, freq="h", tz="UTC")
        for key in range(3):
            db.series.save(pd.Series(np.arange(48) / 4 + site, hours), f"site-{site}/flow-{key}")
        db.series.save(pd.Series(np.arange(48) - 20, hours), "count")
        db.series.save(pd.Series(["ok", None, "bad"] * 16, hours), "state")


def publish(path: Path, lake: str, **options) -> dict:
    with siltstone.open(path, read_only=path.is_dir()) as db:
        return db.publish(lake, **options)


def site(folder: Path, number: int, lake: str, start) -> None:
    """One of several processes that publish at the same time."""
    write_ticks(folder / "ticks", number)
    write_file(folder / "site.db", number)
    start.wait()
    publish(folder / "ticks", lake)
    publish(folder / "site.db", lake)


def run_sites(folder: Path, lake: str, sites: int = 3) -> list[Path]:
    """Several processes write files of their own and publish them to one lake at once. Returns their folders."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(sites)
    folders = [folder / f"site-{number}" for number in range(sites)]
    processes = [spawn.Process(target=site, args=(folder, n, lake, start)) for n, folder in enumerate(folders)]
    for folder, process in zip(folders, processes, strict=True):
        folder.mkdir(parents=True)
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * sites
    return folders


def store_id(path: Path) -> str:
    """The name that a file gave itself."""
    file = path / "publish.db" if path.is_dir() else path
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as plain:
        return plain.execute("SELECT store_id FROM publish_store").fetchone()[0]


def own_rows(folders: list[Path]) -> sqlite3.Connection:
    """The tables of a lake as the files themselves give them, by our SQL."""
    plain = sqlite3.connect(":memory:")
    questions = [("ticks", "ticks", TICKS)] + [("site.db", table, sql) for table, sql in OWN.items()]
    for folder in folders:
        for file, table, sql in questions:
            with siltstone.open(folder / file, read_only=True) as db:
                found = db.sql(sql)
            columns = ["store_id", *found.columns]
            plain.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})")
            marks = ", ".join("?" * len(columns))
            own = store_id(folder / file)
            plain.executemany(f"INSERT INTO {table} VALUES ({marks})", [(own, *row) for row in found.rows])
    return plain


def live_files(log: dict[int, str]) -> tuple[dict, dict]:
    """From the commits of a log: the files of the table, and the commits of each writer.

    Each file is added once while it is there and removed once; each writer's numbers are 1, 2, 3, ...
    """
    assert sorted(log) == list(range(len(log))), "versions are without holes"
    files, writers = {}, {}
    for version in sorted(log):
        for action in map(json.loads, log[version].splitlines()):
            if txn := action.get("txn"):
                assert txn["version"] == writers.get(txn["appId"], 0) + 1, f"version {version} repeats or skips {txn}"
                writers[txn["appId"]] = txn["version"]
            if remove := action.get("remove"):
                assert files.pop(remove["path"], None) is not None, f"version {version} removes {remove['path']} twice"
            if add := action.get("add"):
                assert add["path"] not in files, f"version {version} adds {add['path']} twice"
                files[add["path"]] = add
    return files, writers


def rows(log: dict[int, str], get: Callable[[str], bytes], column: str) -> list:
    """A column of the table that a log's commits give, rising; `get` reads a file of it."""
    files, _ = live_files(log)
    found = []
    for path, add in files.items():
        content = get(path)
        assert len(content) == add["size"], path
        values = pq.read_table(io.BytesIO(content), columns=[column], partitioning=None)[column].to_pylist()
        assert len(values) == json.loads(add["stats"])["numRecords"], path
        found += values
    return sorted(found)


def local_rows(table: Path, column: str) -> list:
    """The same of a table in a folder."""
    log = {int(file.stem): file.read_text() for file in (table / "_delta_log").glob("*.json")}
    return rows(log, lambda file: (table / file).read_bytes(), column)
