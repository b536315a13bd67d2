"""How fast the viewer is: `python view/run.py --help`.

Each row starts `silt view` on data that `data.py` makes, and measures it over HTTP or in Chromium, up to the picture.
What it shows is compared with the data, or with the answer of a baseline; a difference ends the run. The data stay in
`--data`, so that one row can be measured again by `--only`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import kept
import machine
import overview
import poll
import runs
import scrub
import zoom

ROWS = {
    "overview": overview.measure,
    "zoom": zoom.measure,
    "scrub": scrub.measure,
    "runs": runs.measure,
    "bytes": overview.page_bytes,
    "poll": poll.measure,
}
#: What is measured, and what for a first look: see `data.py`.
SIZES = {
    "full": {
        "entities": 100_000, "steps": 1_000, "series": 40, "points": 1_000_000, "ticks": 100_000_000,
        "days": 100, "runs": 10_000, "baseline_runs": 1_000, "minutes": 5.0,
    },
    "small": {
        "entities": 1_000, "steps": 100, "series": 4, "points": 10_000, "ticks": 1_000_000,
        "days": 10, "runs": 100, "baseline_runs": 20, "minutes": 0.25,
    },
}
PACKAGES = ("mlflow", "trackio", "playwright", "gradio")


def arguments():
    parser = argparse.ArgumentParser(description="Measure the viewer.")
    parser.add_argument("--silt", type=Path, required=True, help="the built command")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; the median counts")
    parser.add_argument("--minutes", type=float, help="how long a growing file is polled")
    parser.add_argument("--commits", type=float, help="commits a second of the writer of that file, at most")
    parser.add_argument("--trackers", type=Path, help="the Python of an environment with mlflow and trackio")
    parser.add_argument("--no-baselines", action="store_true", help="measure Siltstone alone")
    parser.add_argument("--data", type=Path, help="where the data are made, and found again")
    parser.add_argument("--name", default="view", help="kept as RESULTS/<date>-NAME.json")
    parser.add_argument("--results", type=Path, default=HERE.parent.parent / "results")
    return parser.parse_args()


def main():
    options = arguments()
    options.silt = options.silt.resolve()
    size = SIZES[options.size] | ({} if options.minutes is None else {"minutes": options.minutes})
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        folder = options.data or options.scratch
        folder.mkdir(parents=True, exist_ok=True)
        record = {"size": size, "repeat": options.repeat, "machine": machine.facts(folder)}
        record["machine"]["packages"] |= {name: machine.version_of(name) for name in PACKAGES}
        results = {}
        for row in options.only:
            print(f"\n{row}", flush=True)
            results[row] = ROWS[row](options, folder.resolve(), size)
            table(results[row])
    print(f"kept as {kept.keep(record | {'results': results}, options.results, options.name)}")


def table(measures):
    """One line a measure."""
    for name, value in measures.items():
        text = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
        print(f"  {name:60} {text}", flush=True)


if __name__ == "__main__":
    main()
