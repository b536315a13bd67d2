"""What is logged in this bench, and what answers are compared by."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

AGENTS, STEPS = 100, 1_000
ACTIONS, METRICS = 100_000, 10_000
WRITERS, WRITER_STEPS = 4, 200
# Simulations, agents and steps of what is read: the same rows in few and in many, and a tenth of them.
SHAPES = {"10": (10, 100, 200), "10 small": (10, 100, 20), "1000": (1_000, 10, 20)}
STATE = (
    "agent_id",
    "position_x",
    "position_y",
    "resource_level",
    "current_health",
    "starting_health",
    "starvation_counter",
    "is_defending",
    "total_reward",
    "age",
)
FLOATS = tuple(name for name in STATE if name[:3] in ("pos", "res", "cur", "tot")) + (STATE[5],)
TYPES = ("move", "gather", "share", "attack", "defend", "reproduce")


class Step(NamedTuple):
    """What one call of `log_step` is given; `states` are tuples or a dict of columns."""

    number: int
    states: list | dict
    metrics: dict


def name(simulation: int) -> str:
    return f"sim_{simulation:04}"


def agents(simulation: int, count: int) -> list[str]:
    """Ids of agents; AgentFarm's tables know an id once only, in all simulations together."""
    return [f"s{simulation}a{n:04}" for n in range(count)]


def steps(simulation: int, count: int, number: int, columns: bool = False) -> list[Step]:
    """Random states of `count` agents in `number` steps, as tuples or as columns."""
    random = np.random.default_rng(1_000 + simulation)
    ids = agents(simulation, count)
    found = []
    for step in range(number):
        floats = random.random((5, count)) * 100
        starving = random.integers(0, 5, count)
        defending = random.random(count) < 0.1
        x, y, level, health, reward = floats
        parts = (x, y, level, health, np.full(count, 100.0), starving, defending, reward)
        parts += (np.full(count, step),)
        metrics = {
            "total_agents": count - step % 7,
            "total_resources": float(level.sum()),
            "average_reward": float(reward.mean()),
            "births": step % 3,
            "deaths": step % 2,
        }
        if columns:
            states = dict(zip(STATE, (ids, *parts), strict=True))
        else:
            states = list(zip(ids, *(part.tolist() for part in parts), strict=True))
        found.append(Step(step, states, metrics))
    return found


def real(file: Path) -> list[tuple[str, list[str], list[Step]]]:
    """The simulations of AgentFarm's own database: id, agents, steps in tuples."""
    db = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
    found = []
    ids = [row[0] for row in db.execute("SELECT simulation_id FROM simulations ORDER BY 1")]
    for simulation in ids:
        by_step: dict[int, list] = {}
        sql = f"SELECT step_number, {', '.join(STATE)} FROM agent_states WHERE simulation_id = ?"
        for step, *state in db.execute(f"{sql} ORDER BY step_number, id", [simulation]):
            state[7] = bool(state[7])
            by_step.setdefault(step, []).append(tuple(state))
        known = {state[0] for states in by_step.values() for state in states}
        made = [Step(n, s, {"total_agents": len(s)}) for n, s in sorted(by_step.items())]
        found.append((simulation, sorted(known), made))
    db.close()
    return found


def actions(details: bool) -> list[dict]:
    """Arguments of `log_agent_action`, a call each."""
    random = np.random.default_rng(7)
    ids = agents(0, AGENTS)
    rewards = random.random(ACTIONS).tolist()
    kinds = random.integers(0, len(TYPES), ACTIONS).tolist()
    found = []
    for n in range(ACTIONS):
        one = {
            "step_number": n // AGENTS,
            "agent_id": ids[n % AGENTS],
            "action_type": TYPES[kinds[n]],
            "reward": rewards[n],
        }
        if details:
            one["details"] = {"before": n, "after": rewards[n], "success": n % 2 == 0}
        found.append(one)
    return found


def metrics() -> list[tuple[str, float, int]]:
    """Ten metrics in a thousand steps: name, value, step."""
    values = np.random.default_rng(9).random(METRICS).tolist()
    return [(f"loss_{n % 10}", values[n], n // 10) for n in range(METRICS)]


def frame(made: list[Step]) -> pd.DataFrame:
    """What `made` must give when it is read."""
    parts = []
    for step in made:
        states = step.states
        if not isinstance(states, dict):
            states = dict(zip(STATE, zip(*states, strict=True), strict=True))
        parts.append(pd.DataFrame(states).assign(step_number=step.number))
    return pd.concat(parts, ignore_index=True)


def answer(states: pd.DataFrame) -> tuple[int, str]:
    """The number of states, and a checksum of them in the order of step and agent."""
    states = states.sort_values(["step_number", "agent_id"], ignore_index=True)
    digest = hashlib.sha256("\n".join(states["agent_id"]).encode())
    for column in FLOATS:
        digest.update(states[column].to_numpy(np.float64).tobytes())
    for column in ("step_number", "starvation_counter", "is_defending", "age"):
        digest.update(states[column].to_numpy(np.int64).tobytes())
    return len(states), digest.hexdigest()


def action_answer(rows: list[tuple]) -> tuple[int, str]:
    """The same of actions: step, agent, type, reward, details as JSON or dict or None."""
    told = []
    for step, agent, kind, reward, details in rows:
        if isinstance(details, str):
            details = json.loads(details)
        elif not isinstance(details, dict):
            details = None
        told.append(json.dumps([int(step), agent, kind, float(reward), details], sort_keys=True))
    return len(told), hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()
