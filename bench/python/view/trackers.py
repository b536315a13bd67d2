"""The runs of `data.py` in other trackers, made and served by their own packages: `trackers.py WHAT FOLDER COUNT PORT`.

It runs in an environment of its own (`requirements.txt`): their packages want other versions than ours.
`mlflow` and `trackio` write the runs; `serve-trackio` shows them, as `trackio show` does (`mlflow ui` is a command).
"""

import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROJECT = "sweep"


def parameters(n):
    """Of run `n`, as in `data.py`."""
    return {"rate": (n * 7919 % 1000) / 1000, "layers": n % 7, "seed": n, "kind": ("adam", "sgd")[n % 2]}


def results(n):
    """Of run `n`, as in `data.py`."""
    return {"accuracy": (n * 104_729 % 10_007) / 10_007, "epochs": n % 50}


def losses(steps=10):
    """Of one run."""
    return [random.random() for _ in range(steps)]


def mlflow(path, count):
    """Into its SQLite store, each run in one call."""
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    path.mkdir()
    client = MlflowClient(f"sqlite:///{path / 'mlflow.db'}")
    experiment = client.create_experiment(PROJECT, artifact_location=(path / "artifacts").as_uri())
    for n in range(count):
        run = client.create_run(experiment, run_name=f"run_{n:05}").info.run_id
        params = [Param(name, str(value)) for name, value in parameters(n).items()]
        metrics = [Metric("loss", loss, 0, step) for step, loss in enumerate(losses())]
        metrics += [Metric(name, float(value), 0, 0) for name, value in results(n).items()]
        client.log_batch(run, metrics, params)
        client.set_terminated(run)


def trackio(path, count):
    """Into its folder, by what its own client calls."""
    from trackio.sqlite_storage import SQLiteStorage

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(count):
        logged = [{"loss": loss} for loss in losses()]
        logged[-1] |= results(n)
        SQLiteStorage.bulk_log(
            project=PROJECT,
            run=f"run_{n:05}",
            metrics_list=logged,
            steps=list(range(len(logged))),
            timestamps=[(begin + timedelta(seconds=60 * n + step)).isoformat() for step in range(len(logged))],
            config=parameters(n),
        )


def serve_trackio(_path, _count):
    """Shows the project until it is ended; prints its address."""
    import trackio

    shown = trackio.show(project=PROJECT, open_browser=False, block_thread=False)
    print("address", shown[1], flush=True)
    while True:
        time.sleep(1)


def main():
    what, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "TRACKIO_DIR": str(folder)}
    {"mlflow": mlflow, "trackio": trackio, "serve-trackio": serve_trackio}[what](folder, count)


if __name__ == "__main__":
    main()
