"""The memory store beside its baselines from Python: `python memory/run.py --help`.

Every phase of every repetition runs in a fresh process, the baselines taking turns. What comes back must be what was
stored, or the right answer: anything else is no figure but an error. Searches run on one core. A phase that takes
twenty seconds is not repeated, and a baseline that cannot do a work says why. The page cache is warm.
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
from data import SIZES
from baseline import BASELINES
from worker import MISSING

US = "siltstone"
SLOW_S = 20.0
RESULTS = HERE.parent.parent / "results"
# What can be chosen, and the phases that it needs.
WORKS = {
    "episodes": ["episodes"],
    "batch": ["batch"],
    "dicts": ["dicts"],
    "latest": ["fill", "latest"],
    "search": ["concepts", "search", "first", "first:compacted"],
    "graph": ["graph:clustered", "graph:full"],
}
FILL = "fill", "concepts"
# What a phase must find made anew: the folders that it writes.
ANEW = {phase: phase for phase in ("episodes", "batch", "dicts")}
ANEW |= {f"graph:{kind}": f"graph {kind}" for kind in ("clustered", "full")}
TITLES = {
    "episodes": "store an episode of 128 float64, {episodes:,} calls, each committed",
    "batch": "the same {episodes:,} in one call",
    "dicts": "store a dict of two 84x84x3 float64, an action and a reward, {dicts:,} calls",
    "fill": "store {latest:,} episodes of 128 float64, in one call (to fill a file)",
    "latest": "the latest 100 of {latest:,} episodes of one context",
    "latest decoded": "and their arrays",
    "concepts": "store {vectors:,} concepts x 512 float32, in few calls (to fill a file)",
    "search": "exact top 10 of {vectors:,} x 512 float32, one core, each search",
    "first": "open that file in a fresh process, and search it once, one core",
    "first compacted": "the same of a file that was compacted",
    "graph clustered": "relate {concepts:,} concepts x 512 float64 that are clustered, threshold 0.8",
    "graph full": "relate {concepts:,} concepts x 512 float64, each with each",
}
SIZED = {
    "episodes": "bytes of the file an episode of 128 float64 (1,024 bytes), one call each",
    "batch": "the same of one call",
    "dicts": "bytes of the file a dict (338,688 bytes of float64)",
    "concepts": "bytes of the file a concept of 512 float32 (2,048 bytes)",
    "graph full": "bytes by which the file grows an edge",
}
ENVIRONMENT = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "RAYON")
}
PACKAGES = "faiss-cpu", "usearch", "sqlite-vec", "apsw"


def arguments():
    parser = argparse.ArgumentParser(description="Measure the memory store and its baselines.")
    parser.add_argument("--only", nargs="+", choices=BASELINES, default=list(BASELINES), metavar="BASELINE")
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--minutes", type=float, help="begin no repetition after that time")
    parser.add_argument("--quick", action="store_true", help="little of all; kept with --out only")
    parser.add_argument("--out", type=Path, help="a file; else RESULTS/<date>-memory-python.json")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


def child(phase, baseline, folder, sizes):
    """Run one phase in a process of its own; None if the baseline is not installed."""
    command = [sys.executable, HERE / "worker.py", phase, baseline, folder, sizes]
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == MISSING:
        print(f"left out: {baseline}: {done.stderr.strip()}", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"{baseline}, {phase}: {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def repetition(baseline, phases, sizes, result, over, scratch):
    """All phases once, but those that are known to be slow, to fail, or to need no second time."""
    folder = scratch / baseline
    folder.mkdir(exist_ok=True)
    for phase in phases:
        if phase in over:
            continue
        if phase in ANEW:
            shutil.rmtree(folder / ANEW[phase], ignore_errors=True)
        measures = child(phase, baseline, folder, sizes)
        for kind in ("error", "cannot"):
            if (text := measures.pop(kind, None)) is not None:
                result.setdefault(f"{kind}s", {})[phase] = text
                over.add(phase)
        for work, measure in measures.items():
            result.setdefault(work, []).append(measure)
        took = (one.get("measured_wall_s", one["wall_s"]) for one in measures.values())
        if sum(took) > SLOW_S or phase in FILL:
            over.add(phase)


def main():
    options = arguments()
    sizes = "quick" if options.quick else "full"
    phases = [phase for work in options.work for phase in WORKS[work]]
    machine.PACKAGES = (*machine.PACKAGES, *PACKAGES)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        scratch = Path(scratch)
        record = {"machine": machine.facts(scratch), "sizes": SIZES[sizes]._asdict()}
        about = {}
        for baseline in options.only:
            if reported := child("about", baseline, scratch, sizes):
                about[baseline] = reported
        if "search" in options.work:
            child("vectors", "-", scratch / "data", sizes)
        results, over = {baseline: {} for baseline in about}, {baseline: set() for baseline in about}
        began = time.monotonic()
        for run in range(options.repeat):
            if options.minutes and time.monotonic() - began > 60 * options.minutes:
                break
            for baseline in about:
                repetition(baseline, phases, sizes, results[baseline], over[baseline], scratch)
            print(f"repetition {run + 1} of {options.repeat} is done", file=sys.stderr)
    record |= {"repeat": options.repeat, "baselines": about, "results": results}
    table(record)
    if options.out or not options.quick:
        if options.out:
            kept.write(record, options.out)
        print(f"kept as {options.out or kept.keep(record, RESULTS, 'memory-python')}")
    if any("errors" in result for result in results.values()):
        sys.exit("Something failed: see above.")


def table(record):
    """One line a work and baseline: CPU and wall of a call, the ratios to Siltstone's, rows."""
    results = record["results"]
    for work, title in TITLES.items():
        if any(work in result for result in results.values()):
            print(f"\n{title.format(**record['sizes'])}")
        for baseline, reported in record["baselines"].items():
            if found := results[baseline].get(work):
                print(line(baseline, reported, found, results.get(US, {}).get(work)))
    for work, title in SIZED.items():
        if any(work in result for result in results.values()):
            print(f"\n{title}")
        for baseline in record["baselines"]:
            if found := results[baseline].get(work):
                print(f"  {baseline:16} {median(m['bytes'] / m['rows'] for m in found):12,.1f}")
    print()
    for baseline, reported in record["baselines"].items():
        if reported["unfair"]:
            print(f"* {baseline}: {reported['unfair']}.")
        for phase, error in results[baseline].get("errors", {}).items():
            print(f"! {baseline}, {phase}: {error}")


def line(baseline, reported, found, ours):
    def of(key, measures=found):
        return median(measure[key] for measure in measures)

    calls = of("calls")
    text = f"  {baseline + ' *' * bool(reported['unfair']):16}"
    for label, key in (("CPU", "cpu_s"), ("wall", "wall_s")):
        # Calls may differ: each is compared with each.
        each = of(key) / calls
        ratio = f"{each / (of(key, ours) / of('calls', ours)):8.2f}x" if ours else f"{'-':>9}"
        text += f"  {label} {duration(each)} {ratio}"
    rows = of("rows")
    text += (
        f"  {rows:10,.0f} rows of {calls:,.0f} calls, {1e6 * of('cpu_s') / rows:,.2f} us CPU a row"
    )
    text += f"  +{of('memory_mb'):,.0f} MB  n={len(found)}  survives {reported['survives']}"
    if "scaled_by" in found[0]:
        text += f"  scaled by {of('scaled_by'):.1f} from {of('measured_rows'):,.0f} rows"
    if "best_wall_s" in found[0]:
        text += f"  best {duration(min(one['best_wall_s'] for one in found)).strip()}"
    return text


def duration(seconds):
    if seconds < 1e-3:
        return f"{seconds * 1e6:9,.2f} us"
    return f"{seconds * 1e3:9,.2f} ms" if seconds < 1 else f"{seconds:9,.2f} s "


if __name__ == "__main__":
    main()
