"""Makes the files of a folder beside this script: one of each store, half of it rows, half of it compacted.

``python tests/files/make.py tests/files/NAME``, with the package and the command ``silt`` of the version to keep. A folder is made
once, and never changed.
"""

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd

from siltstone import series
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage
from siltstone.simulation import SimulationDatabase
from siltstone.ticks import TickStore, TickStoreConfig

TICKS = "SELECT symbol, time_ns, bid, ask, spread, lp_source, broker_id FROM ticks ORDER BY symbol, time_ns, bid, lp_source"
QUERIES = {
    "run.db": [
        'SELECT u.timestamp, u.iteration, u.dataset_name, a.entity_group, a.attribute_name, n.dtype, n.shape, '
        'silt_items(n.dtype, n.shape, n.codec, n.data) FROM "update" u JOIN update_attribute l ON l.update_id = u.id '
        "JOIN attribute_data a ON a.id = l.attribute_data_id JOIN numpy_array n ON n.id = a.data_id "
        "ORDER BY u.id, l.position",
    ],
    "sweep.db": [
        "SELECT * FROM agent_states ORDER BY simulation_id, step_number, agent_id",
        "SELECT simulation_id, status, parameters FROM simulations ORDER BY simulation_id",
    ],
    "ticks": [TICKS],
    "ticks/2026/01/ticks_2026-01-19.db": [TICKS],
    "series.db": [
        "SELECT * FROM time_series_data ORDER BY key, index_value",
        "SELECT key, metadata_json FROM time_series_metadata ORDER BY key",
    ],
    "agent.db": [
        "SELECT timestamp, performance_score, context_hash, hex(experience_data) FROM episodes ORDER BY id",
        "SELECT name, hex(embedding) FROM concepts ORDER BY id",
    ],
}


def run(path: Path, part: range) -> None:
    rng = np.random.default_rng(part.start)
    with SimulationDatabase(path) as db:
        for t in part:
            links = {
                "id": {"data": np.arange(40)},
                "flow": {"data": np.round(rng.normal(size=40), 3)},
                "kind": {"data": np.array(["a", "bc"] * 20)},
                "nodes": {"data": np.arange(60), "row_ptr": np.minimum(np.arange(41) * 2, 60)},
            }
            db.store_update(t, 0, "network", {"links": links})


def sweep(path: Path) -> None:
    with ExperimentDatabase(str(path), "growth") as db:
        for name, compacted in [("first", True), ("second", False)]:
            rng = np.random.default_rng(7)
            with db.create_simulation_context(name, {"rate": 0.5, "seed": name}) as simulation:
                for step in range(10):
                    rows = [
                        (f"w{i}", float(rng.normal()), -0.0, float("nan") if i == 3 else 1.5, 100.0, 100.0, i, i == 2, 0.1 * i, step)
                        for i in range(4)
                    ]
                    simulation.logger.log_step(step, rows, [], {"total_agents": 6})
            if compacted:
                db.compact(name)
        db.vacuum()


def ticks(path: Path) -> None:
    start = datetime(2026, 1, 19, 12, tzinfo=timezone.utc)
    rng = np.random.default_rng(1)
    config = TickStoreConfig.production("BROKER-001", sqlite_base_path=path, compact_every=None)
    with TickStore(config) as store:

        def put(symbol: str, first: int, count: int, lp: str) -> None:
            for n in range(first, first + count):
                bid = (108_500 + int(rng.integers(-9, 9))) / 1e5
                spread = 0.0002 if symbol == "EURUSD" else 7.5
                time = start + timedelta(milliseconds=250 * n)
                store.store_tick(symbol, bid, bid + 0.0002, spread, lp, time)
            store.flush()

        put("EURUSD", 0, 300, "YOFX")
        put("EURUSD", 300, 20, "other \"LP\"")
        put("GBP/USD.x", 0, 100, "YOFX")
        store.compact("2026-01-19")
        put("EURUSD", 280, 60, "YOFX")


def points(path: Path, silt: str) -> None:
    backend = series.open(f"sqlite:{path}")
    times = pd.date_range("2026-03-28", periods=300, freq="h", tz="Europe/Paris")
    rng = np.random.default_rng(2)
    walk = rng.normal(size=300).cumsum()

    def save(prefix: str) -> None:
        gaps = pd.Series(np.round(walk, 2), times, name="flow")
        gaps.iloc[[5, 77]] = np.nan
        backend.save(gaps, f"{prefix}/decimal", {"unit": "m3/h"})
        backend.save(pd.Series(walk, times + pd.to_timedelta(rng.integers(0, 999, 300), "ms")), f"{prefix}/full", {})
        backend.save(pd.Series([None, "a", "ß", ""] * 60, range(240), dtype="string"), f"{prefix}/text", {})
        backend.save(pd.Series([True, None, False] * 50, np.arange(150) / 8, dtype="boolean"), f"{prefix}/flag", {})
        backend.save(pd.Series(np.arange(90, dtype="u8") + 2**63, list(range(90))), f"{prefix}/unsigned", {})

    save("compacted")
    subprocess.run([silt, "series", "compact", "-q", str(path)], check=True)
    save("plain")
    backend.append("compacted/decimal", pd.Series([1.25, 2.5], [times[-1] + times.freq, times[-1] + 2 * times.freq]))


def agent(path: Path) -> None:
    rng = np.random.default_rng(3)
    with SQLiteStorage(path) as store:
        for step in range(12):
            seen = rng.normal(size=8)
            store.store_episode({"seen": seen, "step": step}, performance_score=float(seen[0]), context_hash="maze", embedding=seen)
        store.store_concept("maze", rng.normal(size=8))


def main() -> None:
    folder, silt = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "silt"
    folder.mkdir(parents=True)
    run(folder / "run.db", range(0, 12))
    subprocess.run([silt, "compact", "-q", str(folder / "run.db")], check=True)
    run(folder / "run.db", range(12, 24))
    sweep(folder / "sweep.db")
    ticks(folder / "ticks")
    points(folder / "series.db", silt)
    agent(folder / "agent.db")
    expected = {}
    for name, queries in QUERIES.items():
        for sql in queries:
            found = subprocess.run([silt, "query", "--json", str(folder / name), sql], check=True, capture_output=True, text=True)
            expected.setdefault(name, []).append({"sql": sql, "rows": [list(row.values()) for row in json.loads(found.stdout)]})
    (folder / "expected.json").write_text(json.dumps(expected, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
