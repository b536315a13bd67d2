"""One phase of one baseline in a process of its own: `worker.py PHASE BASELINE DATA FOLDER NUMBER`.

`ingest`: NUMBER ticks in batches of 500, each acknowledged at `disk`. `bulk`: the five days.
`query`: the questions, each NUMBER times, the median. Prints one line of JSON. Opening is timed with
the writes; imports and checks are not.
"""

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median

from data import DAY_NS, Data, answer, bars

BATCH = 500
MISSING = 3
SLOW_S = 2.0  # a question that takes so long is not repeated within a process
BASELINES = {
    "sqlite3": "sqlite_baseline:Sqlite",
    "duckdb": "duckdb_baseline:Duckdb",
    "polars": "polars_baseline:Polars",
    "arcticdb": "arcticdb_baseline:Arcticdb",
    "chdb": "chdb_baseline:Chdb",
    "siltstone_python": "package_baseline:Package",
}


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def size_bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def must(got, want, what):
    if got != want:
        sys.exit(f"{what}: what came back is {got}, expected {want}.")


def ingest(make, data, folder, ticks):
    rows = data.rows.part(0, ticks)
    batches = [rows.part(at, at + BATCH) for at in range(0, ticks, BATCH)]
    start, used = time.perf_counter(), cpu()
    baseline = make(folder, data)
    baseline.ingest(batches)
    baseline.close()
    took = {"wall_s": time.perf_counter() - start, "cpu_s": cpu() - used}
    took["bytes"] = size_bytes(folder)
    baseline = make(folder, data)
    total, bits = 0, 0
    for symbol in data.symbols:
        n, part = answer(*baseline.range(symbol, data.first_ns, data.first_ns + DAY_NS - 1)())
        total, bits = total + n, bits + int(part)
    baseline.close()
    must([total, str(bits % 2**64)], answer(rows.time_ns, rows.bid, rows.ask), "ingest")
    return took


def bulk(make, data, folder, _number):
    took = []
    for day in range(data.days):
        rows = data.day(day)
        start = time.perf_counter()
        baseline = make(folder, data)
        baseline.bulk(rows)
        baseline.close()
        took.append(time.perf_counter() - start)
    return {"wall_s": took, "bytes": size_bytes(folder)}


def query(make, data, folder, times):
    baseline = make(folder, data)
    symbol = 3
    name, own = data.symbols[symbol], data.rows.of(symbol)
    first = data.first_ns + 2 * DAY_NS
    noon = first + DAY_NS // 2

    def within(begin, end):
        chosen = (own.time_ns >= begin) & (own.time_ns <= end)
        return answer(own.time_ns[chosen], own.bid[chosen], own.ask[chosen])

    last = own.part(len(own.bid) - 100, len(own.bid))
    hour, day = (noon, noon + 3_600_000_000_000 - 1), (first, first + DAY_NS - 1)
    questions = {
        "last": (lambda: baseline.last(name, 100), answer(last.time_ns, last.bid, last.ask)),
        "hour": (lambda: baseline.range(name, *hour), within(*hour)),
        "day": (lambda: baseline.range(name, *day), within(*day)),
        "bars": (baseline.bars, bars(data.rows, len(data.symbols))),
    }
    measures = {}
    for what, (ask, want) in questions.items():
        took = []
        for run in range(times + 1):
            start = time.perf_counter()
            got = ask()
            took.append(time.perf_counter() - start)
            if run == 0:
                must(answer(*got()), want, what)
            if sum(took) > SLOW_S:
                break
        took = took[1:] or took  # the first one warms up, unless it is the only one
        measures[what] = {"wall_s": median(took), "answer": want}
    baseline.close()
    return measures


def main():
    phase, name, data, folder, number = sys.argv[1:]
    module, _, attribute = BASELINES[name].partition(":")
    try:
        make = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        print(f"the module {error.name!r} is not installed.", file=sys.stderr)
        sys.exit(MISSING)
    if phase == "about":
        print(json.dumps({"unfair": make.unfair}))
        return
    phases = {"ingest": ingest, "bulk": bulk, "query": query}
    print(json.dumps(phases[phase](make, Data(Path(data)), Path(folder), int(number))))


if __name__ == "__main__":
    main()
