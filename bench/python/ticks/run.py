"""The tick store beside its baselines from Python: `python ticks/run.py --help`.

Every phase of every repetition runs in a fresh process, the baselines taking turns, on the ticks that
`siltstone-bench ticks-data` wrote. Durability is `disk` everywhere. Answers are compared by number of rows and
the sum of their bits with the ticks themselves; a difference ends the run. `siltstone` is the Rust library
through `siltstone-bench ticks-worker`, `siltstone_python` its package.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine
from worker import MISSING, BASELINES

US = "siltstone"
SMALL = 50_000
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
QUESTIONS = {
    "last": "last 100 of a symbol, ms",
    "hour": "one hour of a symbol, ms",
    "day": "one day of a symbol, ms",
    "bars": "one-minute bars of all, ms",
}


def arguments():
    parser = argparse.ArgumentParser(description="Measure the tick store and its baselines.")
    parser.add_argument("--rust", type=Path, required=True, help="the built siltstone-bench")
    parser.add_argument("--only", nargs="+", choices=[US, *BASELINES], default=[US, *BASELINES])
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--name", default="ticks-python", help="kept as RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


def child(options, phase, baseline, data, folder, number):
    """Run one phase in a process of its own; None if the baseline is not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    if baseline == US:
        command = [options.rust, "ticks-worker", phase, data, folder, str(number)]
    else:
        command = [sys.executable, HERE / "worker.py", phase, baseline, data, folder, str(number)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT
    )
    if done.returncode == MISSING and baseline != US:
        print(f"left out: {baseline}: {done.stderr.strip()}", file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"{baseline}, {phase}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        scratch = Path(scratch)
        data = scratch / "data"
        subprocess.run([options.rust, "ticks-data", data], check=True)
        record = {"machine": machine.facts(scratch), "repeat": options.repeat}
        record["data"] = json.loads((data / "ticks.json").read_text())
        about = {US: {"unfair": ""}}
        for baseline in options.only:
            if baseline != US and (told := child(options, "about", baseline, data, scratch / "no", 0)):
                about[baseline] = told
        baselines = [baseline for baseline in options.only if baseline in about]
        results = {baseline: {"ingest": [], "query": []} for baseline in baselines}
        for run in range(options.repeat):
            for baseline in baselines:
                folder = scratch / f"{baseline}-{run}"
                results[baseline]["ingest"].append(child(options, "ingest", baseline, data, folder, SMALL))
        for baseline in baselines:
            results[baseline]["bulk"] = child(options, "bulk", baseline, data, scratch / baseline, 0)
        for _ in range(options.repeat):
            for baseline in baselines:
                measures = child(options, "query", baseline, data, scratch / baseline, 5)
                results[baseline]["query"].append(measures)
    same(results)
    table(results, about, record["data"]["rows"], record["data"]["days"])
    record |= {"baselines": about, "results": results}
    print(f"kept as {kept.keep(record, options.results, options.name)}")


def same(results):
    """All baselines gave the same rows and bits."""
    for question in QUESTIONS:
        answers = {str(m[question]["answer"]) for r in results.values() for m in r["query"]}
        if len(answers) != 1:
            sys.exit(f"{question}: the answers differ: {answers}")


def table(results, about, rows, days):
    """One line a measure and baseline, with the ratio to Siltstone: above 1, Siltstone is ahead."""
    measures = {
        "ingest, batches of 500, disk, ticks/s": lambda r: (
            -SMALL / median(m["wall_s"] for m in r["ingest"])
        ),
        "bulk import of a day, ticks/s": lambda r: -rows / days / median(r["bulk"]["wall_s"]),
        "bytes a tick after small batches": lambda r: r["ingest"][-1]["bytes"] / SMALL,
        "bytes a tick, compacted": lambda r: r["bulk"]["bytes"] / rows,
    }
    for key, title in QUESTIONS.items():
        measures[title] = lambda r, key=key: 1e3 * median(m[key]["wall_s"] for m in r["query"])
    for title, measure in measures.items():
        print(f"\n{title}")
        ours = measure(results[US]) if US in results else None
        for baseline, result in results.items():
            value = measure(result)
            # A rate counts the other way round than a time or a size.
            ratio = (ours / value if value < 0 else value / ours) if ours else float("nan")
            star = " *" if about[baseline]["unfair"] else ""
            text = f"{-value:,.0f}" if value < 0 else f"{value:,.3f}"
            print(f"  {baseline + star:20} {text:>14} {ratio:>10.2f}x")
    for baseline, told in about.items():
        if told["unfair"]:
            print(f"* {baseline}: {told['unfair']}.")


if __name__ == "__main__":
    main()
