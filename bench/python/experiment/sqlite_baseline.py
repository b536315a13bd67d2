"""Python's `sqlite3` and `executemany`: the documented schema, a lean one, and the lean one in groups."""

import json
import sqlite3
from itertools import repeat

import pandas as pd
from data import STATE
from baseline import InMemory, Baseline

BUFFER = 1_000
PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 30000;"
STEP = "total_agents", "total_resources", "average_reward", "births", "deaths"
REST = """
CREATE TABLE IF NOT EXISTS simulation_steps (simulation_id, step_number INTEGER,
    total_agents INTEGER, total_resources REAL, average_reward REAL, births INTEGER,
    deaths INTEGER, PRIMARY KEY (simulation_id, step_number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (simulation_id, name TEXT, step_number INTEGER, value REAL,
    PRIMARY KEY (simulation_id, name, step_number)) WITHOUT ROWID;
"""
SAME = f"""
CREATE TABLE IF NOT EXISTS simulations (simulation_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS agents (agent_id TEXT PRIMARY KEY, simulation_id TEXT);
CREATE TABLE IF NOT EXISTS agent_states (id VARCHAR(128) PRIMARY KEY, simulation_id TEXT,
    step_number INTEGER, {", ".join(STATE)});
CREATE INDEX IF NOT EXISTS states_agent ON agent_states (agent_id);
CREATE INDEX IF NOT EXISTS states_step ON agent_states (step_number);
CREATE INDEX IF NOT EXISTS states_both ON agent_states (agent_id, step_number);
CREATE TABLE IF NOT EXISTS agent_actions (action_id INTEGER PRIMARY KEY, simulation_id TEXT,
    step_number INTEGER NOT NULL, agent_id TEXT NOT NULL, action_type TEXT NOT NULL, reward REAL,
    details TEXT);
CREATE INDEX IF NOT EXISTS actions_step ON agent_actions (step_number);
CREATE INDEX IF NOT EXISTS actions_agent ON agent_actions (agent_id);
CREATE INDEX IF NOT EXISTS actions_type ON agent_actions (action_type);
{REST}"""
LEAN = f"""
CREATE TABLE IF NOT EXISTS simulations (id INTEGER PRIMARY KEY, simulation_id TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS agents (id INTEGER PRIMARY KEY, agent_id TEXT, simulation INTEGER);
CREATE TABLE IF NOT EXISTS agent_states (simulation INTEGER, step_number INTEGER, agent INTEGER,
    {", ".join(STATE[1:])}, PRIMARY KEY (simulation, step_number, agent)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agent_actions (simulation INTEGER, step_number INTEGER, agent INTEGER,
    action_type TEXT, reward REAL, details TEXT);
{REST}"""


class Same(Baseline):
    """The documented columns, keys and indexes; a commit a step."""

    schema = SAME
    group = 1

    def __init__(self, folder):
        self._open(folder / "experiment.db")

    def _open(self, file):
        self.db = sqlite3.connect(file, isolation_level=None, timeout=30)
        self.db.executescript(PRAGMAS + self.schema)

    def begin(self, simulation, agents):
        self.simulation = simulation
        with self._commit():
            self.db.execute("INSERT INTO simulations VALUES (?)", [simulation])
            rows = zip(agents, repeat(simulation))
            self.db.executemany("INSERT INTO agents VALUES (?, ?)", rows)

    def _commit(self):
        """A transaction; `with` of the connection ends it."""
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def log_steps(self, made, done=lambda: None):
        for first in range(0, len(made), self.group):
            with self._commit():
                for step in made[first : first + self.group]:
                    self._states(step)
                    values = [step.metrics.get(column) for column in STEP]
                    self.db.execute(
                        "INSERT INTO simulation_steps VALUES (?, ?, ?, ?, ?, ?, ?)",
                        [self.key(), step.number, *values],
                    )
            done()

    def key(self):
        """What a simulation is known by in its rows."""
        return self.simulation

    def _states(self, step):
        sim, number = self.simulation, step.number
        rows = [(f"{sim}:{state[0]}-{number}", sim, number, *state) for state in step.states]
        self.db.executemany(f"INSERT INTO agent_states VALUES ({'?, ' * 12}?)", rows)

    def log_actions(self, actions):
        waiting = []
        for n, action in enumerate(actions, 1):
            details = action.get("details")
            waiting.append((self.key(), action["step_number"], self._agent(action["agent_id"]),
                            action["action_type"], action["reward"],
                            None if details is None else json.dumps(details)))  # fmt: skip
            if len(waiting) == BUFFER or n == len(actions):
                with self._commit():
                    self.db.executemany(self.into_actions, waiting)
                waiting = []

    into_actions = "INSERT INTO agent_actions VALUES (NULL, ?, ?, ?, ?, ?, ?)"
    from_actions = "SELECT step_number, agent_id, action_type, reward, details FROM agent_actions"

    def _agent(self, agent):
        return agent

    def log_metrics(self, metrics):
        with self._commit():
            rows = [(self.key(), name, step, value) for name, value, step in metrics]
            self.db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", rows)

    def log_metrics_each(self, metrics):
        for name, value, step in metrics:
            row = self.key(), name, step, value
            self.db.execute("INSERT INTO metrics VALUES (?, ?, ?, ?)", row)

    def states(self, simulation):
        sql = f"SELECT step_number, {', '.join(STATE)} FROM agent_states WHERE simulation_id = ?"
        return pd.DataFrame(self.db.execute(sql, [simulation]), columns=["step_number", *STATE])

    def actions(self):
        return self.db.execute(self.from_actions).fetchall()

    def metrics(self):
        return self.db.execute("SELECT name, value, step_number FROM metrics").fetchall()

    final = """SELECT simulation_id, total_agents, max(step_number) FROM simulation_steps
        GROUP BY simulation_id"""
    means = "SELECT simulation_id, avg(total_reward) FROM agent_states GROUP BY simulation_id"

    def compare(self, simulations):
        final = {key: population for key, population, _ in self.db.execute(self.final)}
        means = dict(self.db.execute(self.means))
        return {one: (final[one], means[one]) for one in simulations}

    def close(self):
        self.db.close()


class Lean(Same):
    """Integers as keys, clustered by simulation and step; a commit a step."""

    schema = LEAN

    def begin(self, simulation, agents):
        self.simulation = simulation
        with self._commit():
            into = "INSERT INTO simulations (simulation_id) VALUES (?)"
            self.id = self.db.execute(into, [simulation]).lastrowid
            rows = zip(agents, repeat(self.id))
            self.db.executemany("INSERT INTO agents (agent_id, simulation) VALUES (?, ?)", rows)
        known = self.db.execute("SELECT agent_id, id FROM agents WHERE simulation = ?", [self.id])
        self.ids = dict(known)

    def key(self):
        return self.id

    def _agent(self, agent):
        return self.ids[agent]

    def _states(self, step):
        sim, number, ids = self.id, step.number, self.ids
        rows = [(sim, number, ids[state[0]], *state[1:]) for state in step.states]
        self.db.executemany(f"INSERT INTO agent_states VALUES ({'?, ' * 11}?)", rows)

    into_actions = "INSERT INTO agent_actions VALUES (?, ?, ?, ?, ?, ?)"
    from_actions = """SELECT step_number, agent_id, action_type, reward, details
        FROM agent_actions JOIN agents ON id = agent"""

    def states(self, simulation):
        sql = f"""SELECT step_number, {", ".join(STATE)} FROM agent_states JOIN agents ON id = agent
            WHERE agent_states.simulation = (SELECT id FROM simulations WHERE simulation_id = ?)"""
        return pd.DataFrame(self.db.execute(sql, [simulation]), columns=["step_number", *STATE])

    final = """SELECT s.simulation_id, total_agents, max(step_number) FROM simulation_steps t
        JOIN simulations s ON s.id = t.simulation_id GROUP BY t.simulation_id"""
    means = """SELECT s.simulation_id, mean FROM simulations s JOIN (SELECT simulation,
        avg(total_reward) AS mean FROM agent_states GROUP BY simulation) ON s.id = simulation"""


class Grouped(Lean):
    """The lean one with a commit each 100 steps."""

    survives = "-"
    unfair = "commits each 100 steps: up to 99 are lost with the process"
    group = 100


class Memory(InMemory, Same):
    """The same schema in `:memory:`, kept by SQLite's backup."""

    def __init__(self):
        self._open(":memory:")

    def persist(self, folder):
        kept = sqlite3.connect(folder / "experiment.db")
        self.db.backup(kept)
        kept.close()


class LeanMemory(InMemory, Lean):
    """The lean schema, the same way."""

    __init__ = Memory.__init__
    persist = Memory.persist


Same.in_memory, Lean.in_memory = Memory, LeanMemory
