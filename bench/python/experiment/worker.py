"""One phase of one baseline in a process of its own: `worker.py PHASE BASELINE FOLDER [REAL]`.

What a phase times is one work; opening and closing are among it where it writes. Each process first logs and reads
a little elsewhere, so that what is imported late is not timed. Prints one line of JSON, `{work: measure}`; what fails
is a measure too: `{"error": ...}`, and what a baseline cannot do is `{"cannot": ...}`.
"""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import data
from baseline import Baseline, load

MISSING = 3  # exit code: what the baseline runs on is not installed
SIM = data.name(0)


class Clock:
    """Wall and CPU seconds since it was made, children's too, and how much more memory was needed."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.base = _memory("VmRSS")
        self.start = self._now()

    def seconds(self):
        wall, cpu = (at - then for at, then in zip(self._now(), self.start, strict=True))
        peak = _memory("VmHWM")
        return {"wall_s": wall, "cpu_s": cpu, "memory_mb": peak - self.base, "peak_mb": peak}

    @staticmethod
    def _now():
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in usages)


def _memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(field))


class Wrong(Exception):
    """What came back is not what was stored."""


def _must(found, want, what):
    if found != want:
        raise Wrong(f"{what}: expected {want}, got {found}")


def _size(folder):
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


class Phases:
    """The phases of one baseline on one folder, each giving `(work, measure)`."""

    def __init__(self, make, name, folder, real):
        self.make, self.name, self.folder, self.real_file = make, name, folder, real

    def at(self, what):
        folder = self.folder / what
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def timed(self, folder, work, simulation=SIM, agents=()):
        """Log to a simulation, and close; making it is not timed."""
        baseline = self.make(folder)
        try:
            baseline.begin(simulation, list(agents))
            clock = Clock()
            work(baseline)
        except BaseException:
            baseline.close()
            raise
        baseline.close()
        return clock.seconds()

    def warm(self):
        made = data.steps(0, 3, 3)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            baseline = self.make(Path(folder))
            baseline.begin(SIM, data.agents(0, 3))
            try:
                baseline.log_steps(made)
                baseline.states(SIM)
                baseline.log_actions(data.actions(True)[:3])
                baseline.compare([SIM])
            except NotImplementedError:
                baseline.log_metrics(data.metrics()[:10])
            baseline.close()

    def steps(self, _kind):
        made = data.steps(0, data.AGENTS, data.STEPS)
        yield from self._steps("steps", made, lambda baseline: baseline.log_steps(made))

    def columns(self, _kind):
        made = data.steps(0, data.AGENTS, data.STEPS, columns=True)
        yield from self._steps("columns", made, lambda baseline: baseline.log_columns(made))

    def _steps(self, what, made, work):
        folder = self.at(what)
        took = self.timed(folder, work, agents=data.agents(0, data.AGENTS))
        rows = len(made) * data.AGENTS
        yield what, took | {"rows": rows, "bytes": _size(folder)}
        self._same(folder, SIM, made)

    def _same(self, folder, simulation, made):
        baseline = self.make(folder)
        found = data.answer(baseline.states(simulation))
        baseline.close()
        _must(found, data.answer(data.frame(made)), f"states of {simulation}")

    def compact(self, _kind):
        """What `steps` logged."""
        folder = self.at("steps")
        yield "compacted", self._compact(folder, [SIM]) | {"rows": data.AGENTS * data.STEPS}
        self._same(folder, SIM, data.steps(0, data.AGENTS, data.STEPS))

    def _compact(self, folder, simulations):
        baseline = self.make(folder)
        clock = Clock()
        try:
            baseline.compact(simulations)
        finally:
            baseline.close()
        return clock.seconds() | {"bytes": _size(folder)}

    def real(self, _kind):
        if self.real_file is None:
            raise NotImplementedError("no database of AgentFarm was given: --real")
        simulations, folder = data.real(self.real_file), self.at("real")
        rows = sum(len(step.states) for _, _, made in simulations for step in made)
        took = []
        for simulation, agents, made in simulations:
            work = lambda baseline, made=made: baseline.log_steps(made)  # noqa: E731
            took.append(self.timed(folder, work, simulation, agents))
        total = {key: sum(one[key] for one in took) for key in ("wall_s", "cpu_s")}
        total["memory_mb"] = max(one["memory_mb"] for one in took)
        yield "real", total | {"rows": rows, "bytes": _size(folder)}
        for simulation, _, made in simulations:
            self._same(folder, simulation, made)
        compacted = self._compact(folder, [simulation for simulation, _, _ in simulations])
        for simulation, _, made in simulations:
            self._same(folder, simulation, made)
        yield "real compacted", compacted | {"rows": rows}

    def actions(self, kind):
        made = data.actions(kind == "details")
        folder = self.at(f"actions {kind}")
        work = lambda baseline: baseline.log_actions(made)  # noqa: E731
        took = self.timed(folder, work, agents=data.agents(0, data.AGENTS))
        yield f"actions {kind}", took | {"rows": len(made), "bytes": _size(folder)}
        baseline = self.make(folder)
        found = data.action_answer(baseline.actions())
        baseline.close()
        want = [
            (a["step_number"], a["agent_id"], a["action_type"], a["reward"], a.get("details"))
            for a in made
        ]
        _must(found, data.action_answer(want), "actions")

    def memory(self, _kind):
        if "in_memory" not in self.make.__dict__:
            raise NotImplementedError("it has no run in memory, or another baseline shows it")
        made, folder = data.steps(0, data.AGENTS, data.STEPS), self.at("memory")
        rows = len(made) * (data.AGENTS + 1)
        baseline = self.make.in_memory()
        baseline.begin(SIM, data.agents(0, data.AGENTS))
        clock = Clock()
        baseline.log_steps(made)
        yield "memory run", clock.seconds() | {"rows": rows}
        base, clock = clock.base, Clock()
        baseline.persist(folder)
        took = clock.seconds()
        took["memory_mb"] = took["peak_mb"] - base  # of the rows in memory and of keeping them
        yield "memory persist", took | {"rows": rows, "bytes": _size(folder)}
        baseline.close()
        self._same(folder, SIM, made)

    def fill(self, shape):
        """What `read` and `compare` read; made once."""
        count, agents, steps = data.SHAPES[shape]
        baseline, clock = self.make(self.at(shape)), Clock()
        baseline.hurry()
        for n in range(count):
            baseline.begin(data.name(n), data.agents(n, agents))
            baseline.log_steps(data.steps(n, agents, steps))
            baseline.end()
        baseline.close()
        yield f"fill {shape}", clock.seconds() | {"rows": count * agents * steps}

    def read(self, shape):
        _, agents, steps = data.SHAPES[shape]
        baseline, clock = self.make(self.at(shape)), Clock()
        found = baseline.states(data.name(3))
        took = clock.seconds()
        baseline.close()
        want = data.answer(data.frame(data.steps(3, agents, steps)))
        _must(data.answer(found), want, "one simulation")
        yield "read", took | {"rows": len(found)}

    def compare(self, shape):
        count, agents, steps = data.SHAPES[shape]
        baseline, took = self.make(self.at(shape)), []
        names = [data.name(n) for n in range(count)]
        for _ in range(3):
            clock = Clock()
            found = baseline.compare(names)
            took.append(clock.seconds())
        baseline.close()
        for n, name in enumerate(names):
            made = data.steps(n, agents, steps)
            mean = math.fsum(s[8] for step in made for s in step.states) / (agents * steps)
            population, reward = found[name]
            _must(int(population), made[-1].metrics["total_agents"], f"{name}, final population")
            if not math.isclose(reward, mean, rel_tol=1e-12):
                raise Wrong(f"{name}, mean reward: expected {mean}, got {reward}")
        rows = {"rows": count * agents * steps}
        yield f"compare {shape}", {key: median(t[key] for t in took) for key in took[0]} | rows

    def processes(self, _kind):
        """Writers that are begun together, each in a simulation of its own."""
        folder = self.at("processes")
        if self.make.log_steps is Baseline.log_steps:
            raise NotImplementedError("it logs metrics only")
        self.make(folder).close()
        command = [sys.executable, __file__, "writer", self.name, folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        writers = [
            subprocess.Popen([*command, str(n)], text=True, **pipes) for n in range(data.WRITERS)
        ]
        try:
            if any(writer.stdout.readline().strip() != "ready" for writer in writers):
                told = [writer.communicate()[1].strip()[-200:] for writer in writers]
                raise NotImplementedError(f"several processes cannot open it: {max(told)}")
            start = time.perf_counter()
            for writer in writers:
                writer.stdin.write("go\n")
                writer.stdin.flush()
            told = [json.loads(writer.stdout.readline()) for writer in writers]
            wall = time.perf_counter() - start
        finally:
            for writer in writers:
                writer.communicate()
        rows = data.WRITERS * data.WRITER_STEPS * data.AGENTS
        measure = {"wall_s": wall, "cpu_s": sum(one["cpu_s"] for one in told), "rows": rows}
        measure["slowest_s"] = max(one["slowest_s"] for one in told)
        yield "processes", measure | {"memory_mb": max(one["memory_mb"] for one in told)}
        for n in range(data.WRITERS):
            self._same(folder, data.name(n), data.steps(n, data.AGENTS, data.WRITER_STEPS))

    def writer(self, number):
        """One of them."""
        number = int(number)
        made = data.steps(number, data.AGENTS, data.WRITER_STEPS)
        baseline = self.make(self.folder)
        baseline.begin(data.name(number), data.agents(number, data.AGENTS))
        print("ready", flush=True)
        sys.stdin.readline()
        at = []
        clock = Clock()
        at.append(time.perf_counter())
        baseline.log_steps(made, lambda: at.append(time.perf_counter()))
        took = clock.seconds()
        took["slowest_s"] = max(b - a for a, b in zip(at, at[1:], strict=False))
        baseline.close()
        return took

    def metrics(self, kind):
        made, folder = data.metrics(), self.at(f"metrics {kind}")
        log = "log_metrics_each" if kind == "each" else "log_metrics"
        took = self.timed(folder, lambda baseline: getattr(baseline, log)(made))
        yield f"metrics {kind}", took | {"rows": len(made), "bytes": _size(folder)}
        baseline = self.make(folder)
        found = sorted((name, step, value) for name, value, step in baseline.metrics())
        baseline.close()
        if found != sorted((name, step, value) for name, value, step in made):
            raise Wrong("metrics: what came back is not what was stored")


def main():
    phase, name, folder, *more = sys.argv[1:]
    try:
        make = load(name)
    except ModuleNotFoundError as error:
        print(f"the module {error.name!r} is not installed.", file=sys.stderr)
        sys.exit(MISSING)
    if phase == "about":
        print(json.dumps({"survives": make.survives, "unfair": make.unfair}))
        return
    phase, _, kind = phase.partition(":")
    if phase == "writer":
        print(json.dumps(Phases(make, name, Path(folder), None).writer(*more)), flush=True)
        return
    real = Path(more[0]) if more else None
    phases, measures = Phases(make, name, Path(folder), real), {}
    try:
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
