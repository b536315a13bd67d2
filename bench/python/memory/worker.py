"""One phase of one baseline in a process of its own: `worker.py PHASE BASELINE FOLDER SIZES`.

What a phase times is one work; where it writes, closing is among it, so that all of it is in the store's own file.
What comes back must be what was stored, or the right answer. Prints one line of JSON, `{work: measure}`; what fails
is a measure too: `{"error": ...}`, and what a baseline cannot do is `{"cannot": ...}`.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import data
import numpy as np
from baseline import Baseline, load

MISSING = 3  # exit code: what the baseline runs on is not installed
ENOUGH_S = 0.5  # short calls are repeated for that long


class Clock:
    """Wall and CPU seconds since it was made, of all threads, and how much more memory was needed."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.base = _memory("VmRSS")
        self.start = self.now()

    @staticmethod
    def now():
        return time.perf_counter(), time.process_time()

    def seconds(self, calls=1):
        wall, cpu = (at - then for at, then in zip(self.now(), self.start, strict=True))
        memory = {"memory_mb": _memory("VmHWM") - self.base, "peak_mb": _memory("VmHWM")}
        return {"wall_s": wall, "cpu_s": cpu, "calls": calls} | memory


def _memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


class Wrong(Exception):
    """What came back is not what was stored, or not the right answer."""


def _must(found, want, what):
    if found != want:
        raise Wrong(f"{what}: expected {str(want)[:80]}, got {str(found)[:80]}")


def _right(wrong, what):
    if wrong:
        raise Wrong(f"{what}: {wrong}")


def _same(found, want):
    """Whether an experience is the one that was stored, to the bit."""
    if isinstance(want, dict):
        return list(found) == list(want) and all(_same(found[key], want[key]) for key in want)
    if not isinstance(want, np.ndarray):
        return type(found) is type(want) and found == want
    return found.dtype == want.dtype and np.array_equal(found, want)


def _size(folder):
    files = [file.stat() for file in folder.rglob("*") if file.is_file()]
    return {
        "bytes": sum(file.st_size for file in files),
        "allocated_bytes": sum(file.st_blocks * 512 for file in files),
    }


class Phases:
    """The phases of one baseline on one folder, each giving `(work, measure)`."""

    def __init__(self, make, folder, sizes):
        self.make, self.folder, self.sizes = make, folder, sizes

    def at(self, what):
        folder = self.folder / what
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def warm(self):
        """What is imported late is not to be timed."""
        made = data.episodes(3)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            baseline = self.make(Path(folder))
            try:
                baseline.store_each(made)
                baseline.store_batch(data.rows(made, [1.0, 2.0, 3.0]))
                baseline.decode(baseline.latest(1)[0])
            except NotImplementedError:
                baseline.store_concepts(np.eye(3, data.DIMENSIONS, dtype=np.float32))
            baseline.close()

    def episodes(self, _kind):
        made = data.episodes(self.sizes.episodes)
        yield self._stored("episodes", made, lambda baseline: baseline.store_each(made), len(made))

    def batch(self, _kind):
        made = data.episodes(self.sizes.episodes)
        given = data.rows(made, np.arange(1.0, len(made) + 1).tolist())
        yield self._stored("batch", made, lambda baseline: baseline.store_batch(given), 1)

    def dicts(self, _kind):
        made = data.dicts(self.sizes.dicts)
        yield self._stored("dicts", made, lambda baseline: baseline.store_each(made), len(made))

    def _stored(self, what, made, work, calls):
        folder = self.at(what)
        baseline = self.make(folder)
        clock = Clock()
        ids = list(work(baseline))
        baseline.close()
        took = clock.seconds(calls) | {"rows": len(ids)} | _size(folder)
        _must(ids, list(range(1, len(made) + 1)), "ids")
        baseline = self.make(folder)
        found = sorted(baseline.latest(len(made) + 1), key=lambda episode: episode.id)
        _must([episode.id for episode in found], ids, "ids of what is stored")
        for episode, one in zip(found, made, strict=True):
            _must(_same(baseline.decode(episode), one), True, f"episode {episode.id} is the same")
        baseline.close()
        return what, took

    def fill(self, _kind):
        """What `latest` reads; made once."""
        made = data.episodes(self.sizes.latest)
        given = data.rows(made, data.times(len(made)).tolist())
        baseline = self.make(self.at("latest"))
        clock = Clock()
        ids = list(baseline.store_batch(given))
        baseline.close()
        yield "fill", clock.seconds() | {"rows": len(ids)} | _size(self.at("latest"))
        _must(ids, list(range(1, len(made) + 1)), "ids")

    def latest(self, _kind):
        count = self.sizes.latest
        order = np.argsort(-data.times(count))[: data.LATEST]
        baseline = self.make(self.at("latest"))

        def decoded():
            return [baseline.decode(episode) for episode in baseline.latest(data.LATEST)]

        found, took = _repeated(lambda: baseline.latest(data.LATEST))
        yield "latest", took | {"rows": len(found) * took["calls"]}
        arrays, took = _repeated(decoded)
        yield "latest decoded", took | {"rows": len(arrays) * took["calls"]}
        baseline.close()
        _must([episode.id for episode in found], (order + 1).tolist(), "ids of the latest")
        made = data.episodes(count)
        _must([_same(one, made[at]) for one, at in zip(arrays, order, strict=True)].count(True),
              data.LATEST, "arrays that are the same")  # fmt: skip

    def _vectors(self):
        return data.Vectors(self.folder.parent / "data", self.sizes.vectors)

    def concepts(self, _kind):
        """What is searched; made once."""
        vectors = self._vectors().load()
        baseline = self.make(self.at("concepts"))
        clock = Clock()
        baseline.store_concepts(vectors)
        baseline.close()
        yield "concepts", clock.seconds() | {"rows": len(vectors)} | _size(self.at("concepts"))

    def search(self, _kind):
        _one_core()
        asked, vectors = data.queries(), self._vectors()
        baseline = self.make(self.at("concepts"))
        baseline.search(asked[0], data.K)
        found, walls = [], []
        clock = Clock()
        for n in range(self.make.searches):
            began = time.perf_counter()
            found.append(baseline.search(asked[n % len(asked)], data.K))
            walls.append(time.perf_counter() - began)
        took = clock.seconds(len(found))
        baseline.close()
        rows = sum(map(len, found))
        yield "search", took | {"rows": rows, "best_wall_s": min(walls)}
        for n, one in enumerate(found):
            _right(vectors.wrong(n % len(asked), one), "search")

    def first(self, kind):
        _one_core()
        query, vectors, folder = data.queries()[0], self._vectors(), self.at("concepts")
        if kind:
            folder = self._compacted(folder)
        clock = Clock()
        baseline = self.make(folder)
        opened = clock.now()[0] - clock.start[0]
        found = baseline.search(query, data.K)
        took = clock.seconds() | {"rows": len(found), "opening_wall_s": opened}
        baseline.close()
        yield f"first {kind}".strip(), took
        _right(vectors.wrong(0, found), "the first search")

    def _compacted(self, folder):
        """A copy of a folder, compacted; made once."""
        if self.make.compact is Baseline.compact:
            raise NotImplementedError("it has nothing to compact")
        copy = folder.with_name(f"{folder.name} compacted")
        if not copy.exists():
            shutil.copytree(folder, copy)
            baseline = self.make(copy)
            baseline.compact()
            baseline.close()
        return copy

    def graph(self, kind):
        """Of concepts that are stored already, but not read; the bytes are by how much the file grows."""
        if self.make.graph is Baseline.graph:
            raise NotImplementedError("it keeps no relationships")
        count = self.sizes.concepts
        part = kind == "full" and self.make.partly
        vectors = data.concepts(kind, count)[: self.sizes.part if part else count]
        folder = self.at(f"graph {kind}")
        baseline = self.make(folder)
        baseline.store_concepts(vectors)
        baseline.close()
        before = _size(folder)
        baseline = self.make(folder)
        clock = Clock()
        edges = baseline.graph(data.THRESHOLDS[kind])
        baseline.close()
        took = clock.seconds() | {"rows": edges}
        took |= {key: size - before[key] for key, size in _size(folder).items()}
        baseline = self.make(folder)
        found = baseline.edges(len(vectors))
        baseline.close()
        _must(edges, len(found.source), "the number of edges that it tells")
        _right(data.Edges.true(kind, vectors).wrong(found), f"graph {kind}")
        yield f"graph {kind}", _scaled(took, len(vectors), count) if part else took


def _scaled(took, count, whole):
    """As if it were of `whole` concepts: each pair is a step of a loop and a transaction."""
    times = (whole * (whole - 1)) / (count * (count - 1))
    keys = "wall_s", "cpu_s", "rows", "bytes", "allocated_bytes"
    measured = {f"measured_{key}": took[key] for key in keys}
    scaled = {key: took[key] * times for key in keys} | {"rows": round(took["rows"] * times)}
    return took | measured | scaled | {"scaled_by": times}


def _repeated(call):
    """What a call gives, and how long many of it took after a first one."""
    call()
    clock, calls = Clock(), 0
    while calls < 5 or clock.now()[0] - clock.start[0] < ENOUGH_S:
        found = call()
        calls += 1
    return found, clock.seconds(calls)


def _one_core():
    """Whatever threads a baseline has."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main():
    phase, name, folder, sizes = sys.argv[1:]
    if phase == "vectors":
        data.Vectors(Path(folder), data.SIZES[sizes].vectors)
        return
    try:
        make = load(name)
    except ModuleNotFoundError as error:
        print(f"the module {error.name!r} is not installed.", file=sys.stderr)
        sys.exit(MISSING)
    if phase == "about":
        print(json.dumps({"survives": make.survives, "unfair": make.unfair}))
        return
    phase, _, kind = phase.partition(":")
    phases, measures = Phases(make, Path(folder), data.SIZES[sizes]), {}
    try:
        if phase != "first":
            phases.warm()
        for work, measure in getattr(phases, phase)(kind):
            measures[work] = measure
    except NotImplementedError as error:
        measures["cannot"] = str(error)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        measures = {"error": f"{type(error).__name__}: {first}"}
    print(json.dumps(measures))


if __name__ == "__main__":
    main()
