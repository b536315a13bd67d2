"""The experiment store beside its baselines from Python: `python experiment/run.py --help`.

Every phase of every repetition runs in a fresh process, the baselines taking turns. What comes back must be what was
logged: another answer is no figure but an error. A phase that takes twenty seconds is not repeated, and a baseline that
cannot do a work says why. The page cache is warm.
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
from data import SHAPES
from baseline import BASELINES
from worker import MISSING

US = "siltstone"
SLOW_S = 20.0
FILL = tuple(f"fill:{shape}" for shape in SHAPES)
# What a phase must find made anew: the folders that it logs to.
ANEW = {"steps": "steps", "columns": "columns", "real": "real", "memory": "memory"}
ANEW |= {"processes": "processes"}
ANEW |= {f"{what}:{kind}": f"{what} {kind}" for what, kind in (
    ("actions", "details"), ("actions", "plain"), ("metrics", "each"), ("metrics", "many"))}  # fmt: skip
PHASES = (
    "steps",
    "compact",
    *(phase for phase in ANEW if phase != "steps"),
    *FILL,
    "read:10",
    *(f"compare:{shape}" for shape in SHAPES),
)
TITLES = {
    "steps": "log_step, 100 agents x 1,000 steps, tuples",
    "columns": "log_step, 100 agents x 1,000 steps, arrays",
    "real": "log_step, AgentFarm's own three simulations",
    "actions plain": "log_agent_action, 100,000 one by one",
    "actions details": "log_agent_action with details, 100,000 one by one",
    "memory run": "in memory, 100 agents x 1,000 steps",
    "memory persist": "and kept in a file",
    "read": "agent_states of one of 10 simulations to pandas",
    "compare 10 small": "final population and mean reward of each of 10, a tenth of the rows",
    "compare 10": "final population and mean reward of each of 10",
    "compare 1000": "final population and mean reward of each of 1,000",
    "processes": "4 processes, one database, 100 agents x 200 steps each",
    "metrics many": "10,000 metrics, the way for many",
    "metrics each": "10,000 metrics, each safe when its call is done",
}
SIZED = {
    "steps": "bytes a row as logged, random floats",
    "compacted": "bytes a row compacted, random floats",
    "real": "bytes a row as logged, real states",
    "real compacted": "bytes a row compacted, real states",
    "actions details": "bytes an action with details",
    "actions plain": "bytes an action",
}
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def arguments():
    parser = argparse.ArgumentParser(description="Measure the experiment store and its baselines.")
    parser.add_argument("--only", nargs="+", choices=BASELINES, default=list(BASELINES), metavar="BASELINE")
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=PHASES, metavar="PHASE")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--minutes", type=float, help="begin no repetition after that time")
    parser.add_argument("--real", type=Path, help="a database that AgentFarm wrote")
    parser.add_argument("--name", default="experiment-python", help="RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


def child(phase, baseline, folder, real):
    """Run one phase in a process of its own; None if the baseline is not installed."""
    command = [sys.executable, HERE / "worker.py", phase, baseline, folder, *([real] if real else [])]
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == MISSING:
        print(f"left out: {baseline}: {done.stderr.strip()}", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"{baseline}, {phase}: {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def repetition(baseline, options, result, over, scratch):
    """All phases once, but those that are known to be slow, to fail, or to need no second time."""
    folder = scratch / baseline
    folder.mkdir(exist_ok=True)
    for phase in options.phase:
        if phase in over:
            continue
        if phase in ANEW:
            shutil.rmtree(folder / ANEW[phase], ignore_errors=True)
        measures = child(phase, baseline, folder, options.real)
        for kind in ("error", "cannot"):
            if (text := measures.pop(kind, None)) is not None:
                result.setdefault(f"{kind}s", {})[phase] = text
                over.add(phase)
        for work, measure in measures.items():
            result.setdefault(work, []).append(measure)
        slow = sum(measure["wall_s"] for measure in measures.values()) > SLOW_S
        # A compaction is not repeated: it is measured once for each time that it is logged.
        if slow or phase in FILL or (phase == "compact" and "steps" in over):
            over.add(phase)


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        scratch = Path(scratch)
        record = {"machine": machine.facts(scratch)}
        about = {}
        for baseline in options.only:
            if reported := child("about", baseline, scratch, None):
                about[baseline] = reported
        results, over = {baseline: {} for baseline in about}, {baseline: set() for baseline in about}
        began = time.monotonic()
        for run in range(options.repeat):
            if options.minutes and time.monotonic() - began > 60 * options.minutes:
                break
            for baseline in about:
                repetition(baseline, options, results[baseline], over[baseline], scratch)
            print(f"repetition {run + 1} of {options.repeat} is done", file=sys.stderr)
    record |= {"repeat": options.repeat, "baselines": about, "results": results}
    table(record)
    print(f"kept as {kept.keep(record, options.results, options.name)}")
    if results.get(US, {}).get("errors"):
        sys.exit("Siltstone failed: see above.")


def table(record):
    """One line a work and baseline; CPU and wall in ms, rows a second of both, the ratios to Siltstone's."""
    results = record["results"]
    for work, title in TITLES.items():
        print(f"\n{title}")
        for baseline, reported in record["baselines"].items():
            if found := results[baseline].get(work):
                print(line(baseline, reported, found, results.get(US, {}).get(work)))
    for work, title in SIZED.items():
        print(f"\n{title}")
        for baseline in record["baselines"]:
            if found := results[baseline].get(work):
                print(f"  {baseline:20} {median(m['bytes'] / m['rows'] for m in found):10.1f}")
    print()
    for baseline, reported in record["baselines"].items():
        if reported["unfair"]:
            print(f"* {baseline}: {reported['unfair']}.")
        for phase, error in results[baseline].get("errors", {}).items():
            print(f"! {baseline}, {phase}: {error}")


def line(baseline, reported, found, ours):
    def of(key, measures=found):
        return median(measure[key] for measure in measures)

    rows = of("rows")
    text = f"  {baseline + ' *' * bool(reported['unfair']):20}"
    for label, key in (("CPU", "cpu_s"), ("wall", "wall_s")):
        ratio = f"{of(key) / of(key, ours):8.2f}x" if ours else f"{'-':>9}"
        text += f"  {label} {1e3 * of(key):11,.2f} ms {rows / of(key):12,.0f}/s {ratio}"
    text += f"  +{of('memory_mb'):,.0f} MB  n={len(found)}  survives {reported['survives']}"
    if "slowest_s" in found[0]:
        text += f"  slowest step {1e3 * of('slowest_s'):,.1f} ms"
    return text


if __name__ == "__main__":
    main()
