"""One phase of one baseline in a process of its own: `worker.py PHASE BASELINE WORKLOAD UPDATES FOLDER`.

Prints one line of JSON. Only opening, the work and closing are timed; the interpreter's start,
imports, the making of the updates and the checks are not.
"""

import json
import resource
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import check
import gen
from baseline import Baseline, load

MISSING = 3  # exit code: what the baseline runs on is not installed
GROWTH = 1_000  # updates made at once in `grow`, so that a long run needs little memory


class Clock:
    """Wall and CPU seconds since it was made; the CPU of all threads and ended children."""

    def __init__(self):
        self.start = self._now()

    def seconds(self) -> dict:
        wall, cpu = (now - then for now, then in zip(self._now(), self.start, strict=True))
        return {"wall_s": wall, "cpu_s": cpu}

    @staticmethod
    def _now() -> tuple[float, float]:
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in usages)


def about(make: type[Baseline], _workload: gen.Workload, _folder: Path) -> dict:
    """What the baseline says about itself."""
    return {key: getattr(make, key) for key in ("durability", "unfair", "batches", "reads")}


def write(make: type[Baseline], workload: gen.Workload, folder: Path) -> dict:
    """Store all updates, one call each."""
    return _write(make, workload, folder, "write_each")


def batch(make: type[Baseline], workload: gen.Workload, folder: Path) -> dict:
    """Store all updates with one call."""
    return _write(make, workload, folder, "write_batch")


def _write(make, workload, folder, method):
    updates = list(gen.updates(workload))
    clock = Clock()
    baseline = make(folder, write=True)
    getattr(baseline, method)(updates)
    acknowledged = clock.seconds()
    baseline.close()
    took = clock.seconds() | {"acknowledged_wall_s": acknowledged["wall_s"]}
    took |= {"bytes": baseline.size_bytes(), "allocated_bytes": baseline.allocated_bytes()}
    if not baseline.reads:
        _must(took["bytes"] == workload.value_bytes + workload.id_bytes, "bytes are missing.")
    return took


def grow(make: type[Baseline], workload: gen.Workload, folder: Path) -> dict:
    """Store a long run in batches; not a measure, only what `state` then reads."""
    updates = gen.updates(workload)
    baseline = make(folder, write=True)
    while part := list(islice(updates, GROWTH)):
        baseline.write_batch(part)
    baseline.close()
    return {"bytes": baseline.size_bytes()}


def read(make: type[Baseline], workload: gen.Workload, folder: Path) -> dict:
    """Open, and read everything back; then compare it with what was made."""
    clock = Clock()
    baseline = make(folder, write=False)
    updates = baseline.read_all(gen.DATASET)
    took = clock.seconds()
    different = check.different_updates(updates, gen.updates(workload))
    _must(different is None, different)
    baseline.close()
    return took


def state(make: type[Baseline], workload: gen.Workload, folder: Path) -> dict:
    """Open, and ask for the state at the middle; then compare it with the true one."""
    clock = Clock()
    baseline = make(folder, write=False)
    columns = baseline.state_at(gen.DATASET, gen.GROUP, workload.middle)
    took = clock.seconds()
    different = check.different_columns(columns, gen.state_at(workload, workload.middle))
    _must(different is None, different)
    baseline.close()
    return took


def _must(holds: bool, otherwise: str | None):
    if not holds:
        sys.exit(f"What came back is not what was stored: {otherwise}")


def main():
    phase, name, workload, updates, folder = sys.argv[1:]
    try:
        make = load(name)
    except ModuleNotFoundError as error:
        print(f"the module {error.name!r} is not installed.", file=sys.stderr)
        sys.exit(MISSING)
    phases = {run.__name__: run for run in (about, write, batch, grow, read, state)}
    scaled = replace(gen.WORKLOADS[workload], updates=int(updates))
    print(json.dumps(phases[phase](make, scaled, Path(folder))))


if __name__ == "__main__":
    main()
