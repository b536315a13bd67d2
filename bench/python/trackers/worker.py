"""One phase in a process of its own: `worker.py PHASE FOLDER [SIZE...]`; its answer is a line of JSON."""

import json
import os
import random
import resource
import sqlite3
import sys
import time
import uuid
from pathlib import Path

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
METRICS = 10


def ids(runs):
    """The same in each store."""
    numbers = random.Random(7)
    return [uuid.UUID(int=numbers.getrandbits(128)).hex for _ in range(runs)]


def values(run, metric, points):
    numbers = random.Random(run * METRICS + metric)
    return [numbers.random() for _ in range(points)]


def fill_folder(folder, runs, points):
    """A folder as MLflow writes it; its own client would take hours. It is read by that client, which would refuse another."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"file://{folder}/mlruns")
    experiment = client.create_experiment("sweep")
    root = folder / "mlruns" / experiment
    like = client.create_run(experiment).info.run_id
    client.set_terminated(like)
    meta = (root / like / "meta.yaml").read_text()
    for number, run in enumerate(ids(runs)):
        for name in ("metrics", "params", "tags", "artifacts"):
            (root / run / name).mkdir(parents=True)
        (root / run / "meta.yaml").write_text(meta.replace(like, run))
        (root / run / "params" / "lr").write_text(str(number))
        for metric in range(METRICS):
            lines = [
                f"{1_700_000_000_000 + step} {value} {step}\n"
                for step, value in enumerate(values(number, metric, points))
            ]
            (root / run / "metrics" / f"metric_{metric}").write_text("".join(lines))
    client.delete_run(like)


def fill_database(folder, runs, points):
    """A database that MLflow made, with rows put in by SQLite."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("sweep", str(folder / "artifacts"))
    like = client.create_run(experiment).info.run_id
    client.set_terminated(like)
    db = sqlite3.connect(folder / "mlflow.db")
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    copied = ", ".join("?" if name == "run_uuid" else name for name in columns)
    for number, run in enumerate(ids(runs)):
        db.execute(f"INSERT INTO runs ({', '.join(columns)}) SELECT {copied} FROM runs WHERE run_uuid = ?", (run, like))
        db.execute("INSERT INTO params (key, value, run_uuid) VALUES ('lr', ?, ?)", (str(number), run))
        for metric in range(METRICS):
            name, of_metric = f"metric_{metric}", values(number, metric, points)
            rows = [(name, x, 1_700_000_000_000 + i, run, i, 0) for i, x in enumerate(of_metric)]
            sql = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
            db.executemany(sql, rows)
            last = (name, of_metric[-1], rows[-1][2], points - 1, 0, run)
            sql = "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
            db.execute(sql, last)
    db.commit()
    db.close()
    client.delete_run(like)


def read_mlflow(uri, most):
    """All points of some runs, as MLflow's client gives them."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("sweep").experiment_id
    start = time.perf_counter()
    runs = client.search_runs([experiment], max_results=50_000)
    found, total = 0, 0.0
    for run in runs[:most]:
        for name in run.data.metrics:
            points = client.get_metric_history(run.info.run_id, name)
            found += len(points)
            total += sum(point.value for point in points)
    return answer(start, found, total) | {"runs": len(runs[:most])}


def fill_events(folder, scalars):
    from tensorboardX import SummaryWriter

    numbers = random.Random(7)
    with SummaryWriter(str(folder / "logs" / "train")) as writer:
        for step in range(scalars // 10):
            for metric in range(10):
                writer.add_scalar(f"metric_{metric}", numbers.random(), step)


def read_events(folder):
    """All scalars, as EventAccumulator gives them."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    start = time.perf_counter()
    events = EventAccumulator(str(folder / "logs" / "train"), {SCALARS: 0}).Reload()
    found, total = 0, 0.0
    for tag in events.Tags()["scalars"]:
        points = events.Scalars(tag)
        found += len(points)
        total += sum(point.value for point in points)
    return answer(start, found, total)


def answer(start, points, total):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"wall_s": time.perf_counter() - start, "points": points, "sum": total, "peak_bytes": peak}


def main():
    phase, folder, *sizes = sys.argv[1:]
    folder, sizes = Path(folder), [int(size) for size in sizes]
    phases = {
        "fill_folder": fill_folder,
        "fill_database": fill_database,
        "fill_events": fill_events,
        "read_events": read_events,
        "read_folder": lambda folder, most: read_mlflow(f"file://{folder}/mlruns", most),
        "read_database": lambda folder, most: read_mlflow(f"sqlite:///{folder}/mlflow.db", most),
    }
    print(json.dumps(phases[phase](folder, *sizes) or {}))


if __name__ == "__main__":
    main()
