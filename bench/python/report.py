"""The measures of one run as tables, with the ratios to Siltstone: above 1, Siltstone is ahead.

`baselines` is `{baseline: {"durability", "unfair", ..}}`, and `results` is
`{baseline: {phase: [the measure of each repetition]}}`.
"""

from statistics import median

from gen import Workload

US = "siltstone"
WRITES = {
    "write": "Write, one call an update, each acknowledged; opening and closing included",
    "batch": "Write, all updates in one call; opening and closing included",
}
READ = "Open, then all updates back as numpy"
STATE = "Open, then the state at the middle of the run"
SIZE = "Bytes on disk after one call an update"


def tables(workload: Workload, baselines: dict, results: dict) -> str:
    """Return a title and a table for each phase that ran."""
    shape = f"{workload.updates:,} updates x {workload.attributes} x {workload.touched:,} float64"
    parts = [f"## {workload.name}: {shape}, {workload.value_bytes / 1e6:.2f} MB of values"]
    for phase, title in (WRITES | {"read": READ}).items():
        parts.append(_table(title, _rates(workload, baselines, results, phase)))
    parts.append(_table(STATE, _times(baselines, results, "state")))
    parts.append(_table(SIZE, _sizes(workload, baselines, results)))
    return "\n\n".join(parts)


def notes(baselines: dict) -> str:
    """Return the reason behind each `*`: why a baseline does not compare one to one."""
    unfair = {name: about["unfair"] for name, about in baselines.items() if about["unfair"]}
    return "\n".join(f"* {name}: {why}." for name, why in unfair.items())


def flatness(workload: Workload, runs: dict[int, dict]) -> str:
    """Return the cost of a state by the length of the run; `runs` is `{updates: phases}`."""
    shortest = _median(next(iter(runs.values())), "state", "wall_s")
    lines = [("updates", "wall ms", "CPU ms", "x the shortest", "MB on disk")]
    for updates, phases in runs.items():
        wall, cpu = (_median(phases, "state", key) for key in ("wall_s", "cpu_s"))
        times = f"{wall * 1e3:.2f}", f"{cpu * 1e3:.2f}", f"{wall / shortest:.2f}"
        lines.append((f"{updates:,}", *times, f"{phases['grow'][0]['bytes'] / 1e6:.1f}"))
    shape = f"{workload.touched} of {workload.rows:,} entities changed by each update"
    return _table(f"## flat: {STATE.lower()}, by its length; {shape}", lines)


def _rates(workload, baselines, results, phase):
    head = "wall s", "CPU s", "updates/s", "updates/CPU s"
    lines = [("baseline", "survives", *head, "wall / siltstone", "CPU / siltstone")]
    for name, phases in _ran(results, phase):
        wall, cpu = (_median(phases, phase, key) for key in ("wall_s", "cpu_s"))
        acknowledged = "acknowledged_wall_s" if phase in WRITES else "wall_s"
        rate = workload.updates / _median(phases, phase, acknowledged)
        times = f"{wall:.3f}", f"{cpu:.3f}", f"{rate:,.0f}", f"{workload.updates / cpu:,.0f}"
        lines.append((*_named(name, baselines[name]), *times, *_ratios(results, name, phase)))
    return lines


def _times(baselines, results, phase):
    lines = [("baseline", "survives", "wall ms", "CPU ms", "wall / siltstone", "CPU / siltstone")]
    for name, phases in _ran(results, phase):
        times = (f"{_median(phases, phase, key) * 1e3:.2f}" for key in ("wall_s", "cpu_s"))
        lines.append((*_named(name, baselines[name]), *times, *_ratios(results, name, phase)))
    return lines


def _sizes(workload, baselines, results):
    lines = [("baseline", "survives", "MB", "MB allocated", "/ values")]
    for name, phases in _ran(results, "write"):
        size, allocated = (_median(phases, "write", k) for k in ("bytes", "allocated_bytes"))
        ratio = f"{size / workload.value_bytes:.2f}"
        sizes = f"{size / 1e6:.2f}", f"{allocated / 1e6:.2f}", ratio
        lines.append((*_named(name, baselines[name]), *sizes))
    return lines


def _ran(results, phase):
    return [(name, phases) for name, phases in results.items() if phases.get(phase)]


def _named(name, about):
    return name + (" *" if about["unfair"] else ""), about["durability"]


def _ratios(results, name, phase):
    ours = results.get(US, {})
    for key in ("wall_s", "cpu_s"):
        if ours.get(phase):
            yield f"{_median(results[name], phase, key) / _median(ours, phase, key):.2f}"
        else:
            yield "-"


def _median(phases, phase, key):
    return median(measure[key] for measure in phases[phase])


def _table(title, lines):
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = []
    for line in lines:
        first, *rest = zip(line, widths, strict=True)
        rows.append("  ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in rest)]))
    return "\n".join([title, *rows])
