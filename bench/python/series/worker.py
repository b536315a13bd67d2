"""One phase of one baseline in a process of its own: `worker.py PHASE BASELINE POINTS FOLDER`.

Opening, the work and closing are timed together, unless a question is asked of an open store. Each
process first saves and loads ten points elsewhere, so that what is imported late is not timed.
Prints one line of JSON, `{work: measure}`; what fails is a measure too: `{"error": ...}`.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import data
import postgresql
from baseline import load

MISSING = 3  # exit code: what the baseline runs on is not installed
SLOW_S = 2.0  # a question that takes so long is not asked again within a process
CALLS = 1_000


class Clock:
    """Wall and CPU seconds since it was made, a server's too, and how much more memory was needed."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.start, self.base = self._now(), _memory("VmRSS")

    def seconds(self):
        now = zip(self._now(), self.start, strict=True)
        wall, cpu = (at - then for at, then in now)
        return {"wall_s": wall, "cpu_s": cpu, "memory_mb": _memory("VmHWM") - self.base}

    @staticmethod
    def _now():
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cpu = sum(u.ru_utime + u.ru_stime for u in usages) + postgresql.cpu_seconds()
        return time.perf_counter(), cpu


def _memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


class Wrong(Exception):
    """What came back is not what was stored."""


def _must(got, want, what):
    if data.answer(got) != data.answer(want):
        raise Wrong(f"{what}: what came back is not what was stored")


def _allocated(folder):
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


class Phases:
    """The phases of one baseline on one folder, each giving `(work, measure)`."""

    def __init__(self, make, points, folder):
        self.make, self.points, self.folder = make, points, folder
        self.in_server = make.prepare.__qualname__ != "Baseline.prepare"

    def at(self, what):
        """The folder of a store, made if it is not there."""
        folder = self.folder / what
        if not folder.exists():
            folder.mkdir(parents=True)
            self.make.prepare(folder)
        return folder

    def size(self, folder):
        return postgresql.size_bytes(folder) if self.in_server else _allocated(folder)

    def timed(self, what, work, before=None):
        """Open, work and close; the measure, and what the work gave."""
        folder = self.at(what)
        clock = Clock()
        baseline = self.make(folder)
        if before is not None:  # a store in memory: what another phase stored
            before(baseline)
            clock = Clock()
        try:
            found = work(baseline)
        finally:
            baseline.close()
        return clock.seconds(), found

    def stored(self, kind, series):
        """What must be done first where a store ends with its process."""
        return (lambda baseline: baseline.save(kind, series)) if self.make.in_memory else None

    def warm(self):
        few = data.one("rounded", 10)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            folder = Path(folder)
            self.make.prepare(folder)
            baseline = self.make(folder)
            baseline.save("few", few)
            baseline.load("few")
            baseline.close()
            if self.in_server:
                postgresql.drop(folder)

    def save(self, kind):
        series = data.one(kind, self.points)
        took, _ = self.timed(kind, lambda baseline: baseline.save(kind, series))
        yield f"save {kind}", took | {"bytes": self.size(self.at(kind))}

    def compact(self, kind):
        self.timed(kind, lambda baseline: baseline.compact())
        yield f"size {kind}", {"bytes": self.size(self.at(kind))}

    def load(self, kind):
        series = data.one(kind, self.points)
        took, found = self.timed(kind, lambda baseline: baseline.load(kind), self.stored(kind, series))
        _must(found, series, "load")
        yield f"load {kind}", took

    def range(self, kind):
        series = data.one(kind, self.points)
        baseline = self.make(self.at(kind))
        if self.make.in_memory:
            baseline.save(kind, series)
        took = []
        for start, end in data.middle(self.points):
            clock = Clock()
            found = baseline.range(kind, start, end)
            took.append(clock.seconds())
            _must(found, series.loc[start:end], "range")
            if sum(one["wall_s"] for one in took) > SLOW_S:
                break
        baseline.close()
        took = took[1:] or took  # the first one warms up, unless it is the only one
        yield "range", {key: median(one[key] for one in took) for key in took[0]}

    def append(self, _kind):
        series = data.one("rounded", self.points)
        parts = [data.part(series, n, CALLS) for n in range(CALLS)]

        def work(baseline):
            for part in parts:
                baseline.append("a", part)

        took, _ = self.timed("append", work)
        yield "append", took | {"bytes": self.size(self.at("append"))}

        def appended(baseline):
            for part in parts:
                baseline.append("a", part)

        before = appended if self.make.in_memory else None
        took, found = self.timed("append", lambda baseline: baseline.load("a"), before)
        _must(found, series, "append")
        yield "load appended", took

    def many(self, _kind):
        series = data.many(self.points)

        def work(baseline):
            for key, one in series.items():
                baseline.save(key, one)

        took, _ = self.timed("each", work)
        yield "save each", took | {"bytes": self.size(self.at("each"))}
        took, _ = self.timed("many", lambda baseline: baseline.save_many(series))
        yield "save many", took | {"bytes": self.size(self.at("many"))}

    def load_many(self, _kind):
        series = data.many(self.points)
        before = (lambda baseline: baseline.save_many(series)) if self.make.in_memory else None
        took, found = self.timed("many", lambda baseline: baseline.load_many(list(series)), before)
        for key, one in series.items():
            _must(found[key], one, f"load many, {key}")
        yield "load many", took
        del found
        baseline = self.make(self.at("many"))
        if before is not None:
            before(baseline)
        took = []
        for _ in range(5):
            clock = Clock()
            keys = baseline.keys()
            took.append(clock.seconds())
        baseline.close()
        yield "keys", {key: median(one[key] for one in took) for key in took[0]}
        if len(keys) != len(series):
            raise Wrong(f"keys: {len(keys)} came back, expected {len(series)}")


def main():
    phase, name, points, folder = sys.argv[1:]
    try:
        make = load(name)
    except ModuleNotFoundError as error:
        print(f"the module {error.name!r} is not installed.", file=sys.stderr)
        sys.exit(MISSING)
    in_server = make.prepare.__qualname__ != "Baseline.prepare"
    if in_server and postgresql.ADDRESS not in os.environ:
        print(postgresql.MISSING, file=sys.stderr)
        sys.exit(MISSING)
    if phase == "about":
        print(json.dumps({"survives": make.survives, "unfair": make.unfair}))
        return
    phase, _, kind = phase.partition(":")
    phases, measures = Phases(make, int(points), Path(folder)), {}
    phases.warm()
    try:
        measures.update(getattr(phases, phase)(kind))
    except Exception as error:
        kinds = error.__class__.__name__
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        print(json.dumps(measures | {"error": f"{kinds}: {first}"}))
        return
    print(json.dumps(measures))


if __name__ == "__main__":
    main()
