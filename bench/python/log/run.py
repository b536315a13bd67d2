"""What a call of `run.log` costs, beside trackers that log offline: `python log/run.py --help`.

Each tool logs the same two numbers a step in a process of its own, and what it has stored is read back and compared. What is
measured is a call as its caller feels it (median), and all of it, from the first call to the end of `finish`, by the clock and
by the CPU of the process and its children.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine


def value(i):
    """The numbers of a step."""
    return {"loss": 1 / (i + 1), "accuracy": i / 1e6}


def siltstone(folder, steps):
    import siltstone

    path = folder / "sweep.db"
    run = siltstone.init(path, {"lr": 0.1})
    took = calls(run.log, steps)
    run.finish()
    yield took
    with siltstone.open(path, read_only=True) as db:
        yield {name: db.experiment().metric(run.id, name) for name in ("loss", "accuracy")}


def trackio(folder, steps):
    os.environ |= {"TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1"}
    import trackio

    run = trackio.init(project="bench", name="one", config={"lr": 0.1}, embed=False)
    took = calls(run.log, steps)
    trackio.finish()
    yield took
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("bench", "one")
    yield {name: sorted((row["step"], row[name]) for row in rows) for name in ("loss", "accuracy")}


def mlflow(folder, steps):
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    import mlflow

    with mlflow.start_run() as run:
        mlflow.log_param("lr", 0.1)
        took = calls(mlflow.log_metrics, steps)
    yield took
    client = mlflow.MlflowClient()
    history = {name: client.get_metric_history(run.info.run_id, name) for name in ("loss", "accuracy")}
    yield {name: sorted((one.step, one.value) for one in found) for name, found in history.items()}


def wandb(folder, steps):
    os.environ |= {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    import wandb

    run = wandb.init(project="bench", config={"lr": 0.1})
    took = calls(run.log, steps)
    run.finish()
    yield took
    from wandb.proto import wandb_internal_pb2

    found = {"loss": [], "accuracy": []}
    for data in leveldb_log(next(folder.rglob("*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for name, values in found.items():
                values.append((row["_step"], row[name]))
    yield found


def leveldb_log(data, block=32_768):
    """The records of a log as LevelDB writes it, behind seven bytes of wandb's own."""
    at, parts = 7, []
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield b"".join(parts)
            parts = []


TOOLS = {"siltstone": siltstone, "trackio": trackio, "wandb": wandb, "mlflow": mlflow}
#: A tool whose call commits has a hundredth of the steps.
FEWER = {"mlflow": 100}


def calls(log, steps):
    """Logs the steps; what each call took, in s."""
    took = []
    for i in range(steps):
        numbers = value(i)
        begin = time.perf_counter()
        log(numbers, step=i)
        took.append(time.perf_counter() - begin)
    return took


def cpu_s():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(tool, steps):
    """One tool, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        logging = TOOLS[tool](Path(folder), steps)
        begin, before = time.perf_counter(), cpu_s()
        took = next(logging)
        wall, cpu = time.perf_counter() - begin, cpu_s() - before
        found = next(logging)
        wanted = {name: [(i, value(i)[name]) for i in range(steps)] for name in ("loss", "accuracy")}
        if found != wanted:
            lengths = {name: len(values) for name, values in found.items()}
            raise RuntimeError(f"{tool}: what is stored is not what was logged: {lengths} of {steps}")
    return {"steps": steps, "call_us": 1e6 * median(took), "wall_s": wall, "cpu_s": cpu, "step_us": 1e6 * wall / steps}


def main():
    parser = argparse.ArgumentParser(description="Measure run.log beside trackers that log offline.")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--tool", choices=TOOLS, help="measure this one here, and print it")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    options = parser.parse_args()
    if options.tool:
        print(json.dumps(measure(options.tool, options.steps)))
        return
    record = {"repeat": options.repeat, "machine": machine.facts(Path(tempfile.gettempdir()))}
    record["machine"]["packages"] |= {name: machine.version_of(name) for name in ("trackio", "wandb", "mlflow-skinny")}
    runs = {tool: [] for tool in options.only}
    for _ in range(options.repeat):
        for tool in options.only:
            steps = options.steps // FEWER.get(tool, 1)
            command = [sys.executable, __file__, "--tool", tool, "--steps", str(steps)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs[tool].append(json.loads(out.splitlines()[-1]))
    results = {tool: {key: median(run[key] for run in found) for key in found[0]} for tool, found in runs.items()}
    print(f"{'':12}{'call, us':>10}{'all, us a step':>16}{'CPU, us a step':>16}")
    for tool, found in results.items():
        print(f"{tool:12}{found['call_us']:10.1f}{found['step_us']:16.1f}{1e6 * found['cpu_s'] / found['steps']:16.1f}")
    print(f"kept as {kept.keep(record | {'results': results}, options.results, 'log')}")


if __name__ == "__main__":
    main()
