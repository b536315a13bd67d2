"""What is shown: made once in a folder, with its size in the name, and found there by the next run."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
DAY_NS = 86_400 * 10**9
FIRST_NS = 20_000 * DAY_NS
SYMBOL = "EURUSD"
DATASET, GROUP, ATTRIBUTE = "city", "houses", "load"


def made(folder: Path, name: str, make) -> Path:
    """The path of some data. What a run that was stopped has left is made anew."""
    path, mark = folder / name, folder / f"{name}.json"
    if not mark.exists():
        for old in (path, *folder.glob(f"{name}-*"), *folder.glob(f"{name}.wal")):
            if old.exists():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        began = time.perf_counter()
        make(path)
        mark.write_text(json.dumps({"seconds": round(time.perf_counter() - began, 1)}))
    return path


def size_bytes(path: Path) -> int:
    """The bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def ticks(day: int, n: int) -> dict[str, np.ndarray]:
    """A day of ticks: times of whole ms that rise, a bid that walks, an ask one to four points above it."""
    random = np.random.default_rng(day)
    steps = random.exponential(1.0, n)
    room = DAY_NS // 1_000_000 - 2 * n
    times = np.cumsum(1 + (steps * (room / steps.sum())).astype("i8"))
    times = FIRST_NS + day * DAY_NS + 1_000_000 * times
    points = 108_500 + np.cumsum(random.integers(-1, 2, n)) % 20_000 + day
    ask = points + random.integers(1, 5, n)
    return {"time": times, "bid": points / 1e5, "ask": ask / 1e5}


def tick_folder(folder: Path, total: int, days: int) -> Path:
    """A folder of ticks of one symbol, a file a day, compacted."""
    import pyarrow as pa
    from siltstone.ticks import TickStore, TickStoreConfig

    def make(path):
        config = TickStoreConfig.production("bench", sqlite_base_path=path, durability="disk")
        store = TickStore(config)
        for day in range(days):
            columns = ticks(day, total // days)
            names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(total // days, "i4")), [SYMBOL])
            table = {"symbol": names, "time": columns["time"], "bid": columns["bid"], "ask": columns["ask"]}
            store.store_ticks(pa.table(table), lp="bench")
        store.stop()

    return made(folder, f"ticks-{total}", make)


def tick_database(folder: Path, total: int, days: int) -> Path:
    """The same ticks in DuckDB's own file, in their order."""
    import duckdb
    import pyarrow as pa

    def make(path):
        with duckdb.connect(path) as db:
            db.sql("CREATE TABLE ticks (time BIGINT, bid DOUBLE, ask DOUBLE)")
            for day in range(days):
                part = pa.table(ticks(day, total // days))
                db.sql("INSERT INTO ticks SELECT * FROM part")

    return made(folder, f"ticks-{total}.duckdb", make)


def simulation(path: Path, entities: int, steps: int) -> None:
    """Entities on a grid, of which each has another value at each step."""
    from siltstone.simulation import SimulationDatabase

    ids = np.arange(entities)
    side = int(np.ceil(np.sqrt(entities)))
    random = np.random.default_rng(3)
    base = random.normal(50.0, 10.0, entities)
    with SimulationDatabase(path) as db:
        places = {"id": ids, "geometry.x": 1.0 * (ids % side), "geometry.y": 1.0 * (ids // side)}
        columns = {name: {"data": values} for name, values in places.items()}
        db.store_update(0, 0, DATASET, {GROUP: columns})
        for step in range(1, steps):
            value = base + 20.0 * np.sin(step / 50.0 + ids / side) + random.normal(0.0, 1.0, entities)
            group = {"id": {"data": ids}, ATTRIBUTE: {"data": value}}
            db.store_update(step, 0, DATASET, {GROUP: group})
        db.mark_complete()


def simulation_file(folder: Path, entities: int, steps: int) -> Path:
    """A file with a simulation alone."""
    return made(folder, f"simulation-{entities}.db", lambda path: simulation(path, entities, steps))


def runs(path: Path, count: int, steps: int = 10) -> None:
    """Runs of a sweep: four parameters, two results, one metric at each step."""
    from siltstone.experiment import ExperimentDatabase

    random = np.random.default_rng(5)
    with ExperimentDatabase(path, "sweep") as db:
        for n in range(count):
            with db.create_simulation_context(f"run_{n:05}", parameters(n)) as run:
                for step, loss in enumerate(random.random(steps)):
                    run.log_metric("loss", float(loss), step)
            db.update_simulation_status(f"run_{n:05}", "completed", results_summary=results(n))


def tracked(folder: Path, python: Path, tracker: str, count: int) -> Path:
    """The same runs in another tracker."""
    script = HERE / "trackers.py"
    make = lambda path: subprocess.run([python, script, tracker, path, str(count)], check=True)  # noqa: E731
    return made(folder, f"{tracker}-{count}", make)


def parameters(n: int) -> dict:
    """Of run `n`."""
    return {"rate": (n * 7919 % 1000) / 1000, "layers": n % 7, "seed": n, "kind": ("adam", "sgd")[n % 2]}


def results(n: int) -> dict:
    """Of run `n`."""
    return {"accuracy": (n * 104_729 % 10_007) / 10_007, "epochs": n % 50}


def runs_file(folder: Path, count: int) -> Path:
    """A file with runs alone."""
    return made(folder, f"runs-{count}.db", lambda path: runs(path, count))


def mixed_file(folder: Path, entities: int, steps: int, series: int, points: int) -> Path:
    """A file with a simulation, series of noise, and 100 runs."""
    import pandas as pd
    import siltstone

    def make(path):
        simulation(path, entities, steps)
        random = np.random.default_rng(9)
        index = pd.date_range("2024-01-01", periods=points, freq="s", tz="UTC")
        with siltstone.open(path) as db:
            for n in range(series):
                db.series.save(pd.Series(random.normal(size=points), index=index), f"sensor_{n:03}")
        runs(path, 100)

    return made(folder, f"mixed-{entities}-{points}.db", make)
