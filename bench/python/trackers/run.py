"""Importing runs of trackers, beside reading them by the trackers: `python trackers/run.py --help`.

Both sides read the same files, each in a process of its own, one after the other; counts and sums of what they have must be
equal. `silt import` writes a file as well, once as rows and once as column blocks (`--compact`), and the others only read. A second
import of the same runs changes nothing: what that takes is measured too. Imports are repeated, and their medians taken.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine

METRICS = 10


def arguments():
    parser = argparse.ArgumentParser(description="Measure importing runs of trackers.")
    parser.add_argument("--silt", type=Path, required=True, help="the command, optimized")
    parser.add_argument("--runs", type=int, default=1_000, help="runs of MLflow, of 10 metrics each")
    parser.add_argument("--points", type=int, default=1_000, help="points of a metric")
    # It lists all runs first: of a few the ratio is no measure.
    parser.add_argument("--read", type=int, help="runs of which MLflow's client reads the points, to try the script")
    parser.add_argument("--repeat", type=int, default=5, help="times that each import is run")
    parser.add_argument("--only", choices=("tensorboard", "folder", "database"), help="one source alone")
    parser.add_argument("--scalars", type=int, default=1_000_000, help="scalars of TensorBoard")
    parser.add_argument("--name", default="trackers-python", help="kept as RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


def child(phase, folder, *sizes):
    command = [sys.executable, HERE / "worker.py", phase, folder, *map(str, sizes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{phase}: {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def imported(options, kind, source, file, *words):
    """Import, and what that took."""
    command = [options.silt, "--json", "import", kind, source, "-o", file, *words]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = {"wall_s": time.perf_counter() - start, "cpu_s": usage.ru_utime + usage.ru_stime}
    assert process.returncode == 0 and said["report"]["skipped"] == [], said
    return took | {"peak_bytes": usage.ru_maxrss * 1024, "rows": said["report"]["rows"]}


def sums(options, file):
    sql = "SELECT count(*) AS points, sum(value) AS sum FROM simulation_metrics"
    done = subprocess.run([options.silt, "query", file, sql, "--format", "csv"], capture_output=True, text=True, check=True)
    points, total = done.stdout.splitlines()[-1].split(",")
    return int(points), float(total)


def measured(options, kind, source, other):
    """An import, another of the same, and the tracker's own reader."""
    record = {"own": other()}
    whole = record["own"].get("runs", options.runs) == options.runs
    for form, words in (("rows", []), ("blocks", ["--compact"])):
        file = source.parent / f"{source.name}.{form}.db"
        times = []
        for _ in range(options.repeat):
            file.unlink(missing_ok=True)
            times.append(imported(options, kind, source, file, *words))
        times.sort(key=lambda one: one["wall_s"])
        again = imported(options, kind, source, file, *words)
        assert again["rows"] == 0
        points, total = sums(options, file)
        record[form] = times[len(times) // 2] | {"bytes": file.stat().st_size, "points": points, "again": again}
        if whole:
            assert points == record["own"]["points"], record
            assert abs(total - record["own"]["sum"]) < 1e-6 * abs(total), (total, record)
    return record


def told(name, record):
    """Points a second of both."""
    own = record["own"]["points"] / record["own"]["wall_s"]
    print(f"{name}: its own reader {own:,.0f} points/s")
    for form in ("rows", "blocks"):
        ours = record[form]
        points, peak = ours["points"], ours["peak_bytes"] / 1e6
        rate = points / ours["wall_s"]
        print(
            f"  silt, {form}: {points:,} points, {rate:,.0f}/s: {rate / own:.1f} times; again {ours['again']['wall_s']:.2f} s; "
            f"{peak:.0f} MB of memory; {ours['bytes'] / points:.1f} bytes a point",
            flush=True,
        )


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        record = {"machine": machine.facts(folder), "runs": options.runs, "points": options.points}
        for package in ("sqlalchemy", "tensorboard", "tensorboardX"):
            record["machine"]["packages"][package] = machine.version_of(package)
        if options.only in (None, "tensorboard"):
            child("fill_events", folder, options.scalars)
            record["tensorboard"] = measured(
                options, "tensorboard", folder / "logs", lambda: child("read_events", folder)
            )
            told("TensorBoard", record["tensorboard"])
        for kind, source in (("folder", "mlruns"), ("database", "mlflow.db")):
            if options.only not in (None, kind):
                continue
            child(f"fill_{kind}", folder, options.runs, options.points)
            record[kind] = measured(
                options,
                "mlflow",
                folder / source,
                lambda kind=kind: child(f"read_{kind}", folder, options.read or options.runs),
            )
            told(f"MLflow, {kind}", record[kind])
            subprocess.run(["rm", "-r", folder / source], check=True)
    print(f"kept as {kept.keep(record, options.results, options.name)}")


if __name__ == "__main__":
    main()
