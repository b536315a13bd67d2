"""Siltstone beside its baselines from Python: `python run.py --help`.

Every phase of every repetition runs in a fresh process on a fresh folder, the baselines taking
turns. What is read back is compared with what was written, by bits; a difference ends the run.
The page cache is warm: what is measured is work, not the disk, but for the `fsync`s of a baseline.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import kept
import machine
import report
from gen import WORKLOADS, Workload
from baseline import BASELINES
from worker import MISSING

HERE = Path(__file__).resolve().parent
LENGTHS = (1_000, 10_000, 100_000)
QUICK = 10  # how much smaller a quick run is
# numpy starts threads for linear algebra that spin at first: CPU time that no baseline has used.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class BaselineFailed(Exception):
    """A baseline broke off, or gave back something else than it was given."""


class BaselineMissing(Exception):
    """What a baseline runs on is not installed."""


def main():
    options = arguments()
    options.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        scratch = Path(scratch)
        record = {"machine": machine.facts(scratch), "repeat": options.repeat}
        print(json.dumps(record["machine"], indent=1))
        try:
            record["baselines"] = baselines = dict(installed(options.only))
            if not baselines:
                sys.exit("None of the baselines asked for is installed: nothing was measured.")
            record["workloads"] = {
                name: bench(name, baselines, options, scratch) for name in options.workload
            }
        except BaselineFailed as failure:
            sys.exit(str(failure))
    print(f"\n{report.notes(baselines)}")
    if options.name or not options.quick:
        print(f"kept as {kept.keep(record, options.results, options.name or 'python')}")


def arguments():
    parser = argparse.ArgumentParser(description="Measure Siltstone and its baselines from Python.")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=BASELINES,
        default=list(BASELINES),
        metavar="BASELINE",
        help="these baselines only: " + ", ".join(BASELINES),
    )
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a trial: {QUICK} times fewer updates, once; its figures mean little",
    )
    parser.add_argument(
        "--name",
        help="keep the result as RESULTS/<date>-NAME.json (python; a quick run: only if named)",
    )
    parser.add_argument("--results", type=Path, default=HERE.parent / "results")
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the baselines write: a disk, not a memory file system",
    )
    options = parser.parse_args()
    if options.quick:
        options.repeat = 1
    return options


def bench(name: str, baselines: dict, options, scratch: Path) -> dict:
    """Run one workload, print its tables, and return all its measures."""
    workload = WORKLOADS[name]
    if options.quick:
        workload = replace(workload, updates=workload.updates // QUICK)
    if name == "flat":
        return flat(workload, baselines, options, scratch)
    results = {baseline: {} for baseline in baselines}
    for _ in range(options.repeat):
        for baseline, about in baselines.items():
            for phase, measure in once(baseline, about, workload, scratch):
                results[baseline].setdefault(phase, []).append(measure)
    print(f"\n{report.tables(workload, baselines, results)}", flush=True)
    return results


def once(baseline: str, about: dict, workload: Workload, scratch: Path):
    """Yield `(phase, measure)` of one repetition: written, read and asked for a state."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield "write", child("write", baseline, workload, folder)
        if about["reads"]:
            yield "read", child("read", baseline, workload, folder)
            yield "state", child("state", baseline, workload, folder)
    if about["batches"]:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            yield "batch", child("batch", baseline, workload, folder)
            if about["reads"]:
                child("read", baseline, workload, folder)  # for its check only


def flat(workload: Workload, baselines: dict, options, scratch: Path) -> dict:
    """Ask Siltstone for the state in the middle of ever longer runs."""
    runs = {}
    if report.US not in baselines:
        return runs
    for updates in LENGTHS[:-1] if options.quick else LENGTHS:
        longer = replace(workload, updates=updates)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            grown = child("grow", report.US, longer, folder)
            states = [child("state", report.US, longer, folder) for _ in range(options.repeat)]
        runs[updates] = {"grow": [grown], "state": states}
    print(f"\n{report.flatness(workload, runs)}", flush=True)
    return runs


def installed(names: list[str]):
    """Yield `(baseline, what it says about itself)`, and say which ones cannot run and why."""
    for name in names:
        try:
            yield name, child("about", name, WORKLOADS["small"], "-")
        except BaselineMissing as missing:
            print(f"left out: {missing}", file=sys.stderr)


def child(phase: str, baseline: str, workload: Workload, folder: str) -> dict:
    """Run one phase in a process of its own, and return what it measured."""
    command = [sys.executable, HERE / "worker.py", phase, baseline, workload.name]
    command += [str(workload.updates), folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT
    )
    if done.returncode != 0:
        kind = BaselineMissing if done.returncode == MISSING else BaselineFailed
        raise kind(f"{baseline}, {phase} of {workload.name!r}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
