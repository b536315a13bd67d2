"""The series store beside its baselines from Python: `python series/run.py --help`.

Every phase of every repetition runs in a fresh process, the baselines taking turns. What comes back must have
the number of points and the checksum of what was stored; another answer is no figure but an error. A phase that
takes ten seconds is not repeated, and a baseline that cannot do a work says why. The page cache is warm.
"""

import argparse
import json
import os
import shutil
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
import postgresql
from data import KINDS, MANY, POINTS
from baseline import BASELINES
from worker import MISSING

US, SERVED = "siltstone_sqlite", "siltstone_postgresql"
SLOW_S = 10.0
PHASES = (
    *(f"{phase}:{kind}" for kind in KINDS for phase in ("save", "load", "compact")),
    "range:rounded",
    "append",
    "many",
    "load_many",
)
SIZED = {f"save {kind}": f"bytes a point as saved, {kind}" for kind in KINDS}
SIZED |= {f"size {kind}": f"bytes a point compacted, {kind}" for kind in KINDS}
TITLES = {
    "save rounded": "save {points}, ms",
    "load rounded": "load {points}, ms",
    "save full": "save {points} of full precision, ms",
    "load full": "load {points} of full precision, ms",
    "save smooth": "save {points}, smooth, ms",
    "load smooth": "load {points}, smooth, ms",
    "range": "1 % in the middle, store open, ms",
    "append": "append them in 1,000 calls, ms",
    "load appended": "load what was appended, ms",
    "save each": "save 1,000 series, a call each, ms",
    "save many": "save 1,000 series, one call where there is one, ms",
    "load many": "load 1,000 series, ms",
    "keys": "list 1,000 keys, store open, ms",
}
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def arguments():
    parser = argparse.ArgumentParser(description="Measure the series store and its baselines.")
    parser.add_argument("--only", nargs="+", choices=BASELINES, default=list(BASELINES), metavar="BASELINE")
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=PHASES, metavar="PHASE")
    parser.add_argument("--points", type=int, default=POINTS, help="a multiple of 1,000")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--minutes", type=float, help="begin no repetition after that time")
    parser.add_argument("--name", default="series-python", help="kept as RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if options.points % MANY or options.points < 10 * MANY:
        parser.error(f"--points: expected a multiple of {MANY}, {10 * MANY} or more")
    return options


def child(phase, baseline, points, folder, environment):
    """Run one phase in a process of its own; None if the baseline is not installed."""
    command = [sys.executable, HERE / "worker.py", phase, baseline, str(points), folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    if done.returncode == MISSING:
        print(f"left out: {baseline}: {done.stderr.strip()}", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"{baseline}, {phase}: {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def repetition(baseline, options, result, slow, scratch, environment):
    """All phases once, but those that are known to be slow or to fail."""
    # A slow save is not made again, and what reads it stays with the folder that it has.
    folder = scratch / baseline
    for phase in options.phase:
        if phase in slow:
            continue
        if phase.startswith(("save", "append", "many")):
            stores = ("each", "many") if phase == "many" else (phase.partition(":")[2] or phase,)
            for store in stores:
                forget(folder / store, is_served(baseline))
        folder.mkdir(exist_ok=True)
        measures = child(phase, baseline, options.points, folder, environment)
        error = measures.pop("error", None)
        if error is not None:
            result.setdefault("errors", {})[phase] = error
        for work, measure in measures.items():
            result.setdefault(work, []).append(measure)
        if error or any(m.get("wall_s", 0) > SLOW_S for m in measures.values()):
            slow.add(phase)


def forget(folder, served):
    shutil.rmtree(folder, ignore_errors=True)
    if served:
        postgresql.drop(folder)


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch, postgresql.server() as served:
        scratch, environment = Path(scratch), ENVIRONMENT
        record = {"machine": machine.facts(scratch), "points": options.points}
        about = {}
        os.environ.update(served)
        for baseline in options.only:
            if told := child("about", baseline, 0, scratch, environment):
                about[baseline] = told
        results, slow = {baseline: {} for baseline in about}, {baseline: set() for baseline in about}
        began = time.monotonic()
        for run in range(options.repeat):
            if options.minutes and time.monotonic() - began > 60 * options.minutes:
                break
            for baseline in about:
                repetition(baseline, options, results[baseline], slow[baseline], scratch, environment)
            print(f"repetition {run + 1} of {options.repeat} is done", file=sys.stderr)
    record |= {"repeat": options.repeat, "baselines": about, "results": results}
    table(record)
    print(f"kept as {kept.keep(record, options.results, options.name)}")
    if any(results[baseline].get("errors") for baseline in (US, SERVED) if baseline in results):
        sys.exit("Siltstone failed: see above.")


def table(record):
    """One line a work and baseline, with the ratio to Siltstone's: above 1, Siltstone is ahead."""
    points, results = record["points"], record["results"]
    for work, title in TITLES.items():
        print(f"\n{title.format(points=f'{points:,} points')}")
        lines(record, lambda r, work=work: r.get(work), "wall_s", 1e3, "cpu_s", "memory_mb")
    for work, title in SIZED.items():
        print(f"\n{title}")
        lines(record, lambda r, work=work: r.get(work), "bytes", 1 / points)
    print()
    for baseline, told in record["baselines"].items():
        if told["unfair"]:
            print(f"* {baseline}: {told['unfair']}.")
        for phase, error in results[baseline].get("errors", {}).items():
            print(f"! {baseline}, {phase}: {error}")


def is_served(baseline):
    """Whether it keeps its series in a PostgreSQL server."""
    return "postgresql" in baseline or baseline == "psql_copy"


def lines(record, measures, key, scale, cpu=None, memory=None):
    results = record["results"]

    def of(baseline, key, scale=1.0):
        found = measures(results.get(baseline, {}))
        return scale * median(m[key] for m in found) if found else None

    for baseline, told in record["baselines"].items():
        value = of(baseline, key, scale)
        if value is None:
            print(f"  {baseline:24} {'-':>12}")
            continue
        ours = of(SERVED if is_served(baseline) else US, key, scale)
        ratio = f"{value / ours:10.2f}x" if ours else f"{'-':>11}"
        star = " *" if told["unfair"] else ""
        text = f"  {baseline + star:24} {value:12,.3f} {ratio}"
        if cpu:
            text += f"   CPU {of(baseline, cpu, scale):12,.3f}   +{of(baseline, memory):,.0f} MB"
            text += f"   n={len(measures(results[baseline]))}   survives {told['survives']}"
        print(text)


if __name__ == "__main__":
    main()
