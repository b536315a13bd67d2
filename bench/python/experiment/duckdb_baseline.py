"""DuckDB: the documented columns without keys and indexes; rows go in as Arrow, a transaction a step."""

import json

import duckdb
import pyarrow as pa
from data import STATE
from baseline import InMemory, Baseline

BUFFER = 1_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS agent_states (simulation_id VARCHAR, step_number INTEGER,
    agent_id VARCHAR, position_x DOUBLE, position_y DOUBLE, resource_level DOUBLE,
    current_health DOUBLE, starting_health DOUBLE, starvation_counter INTEGER,
    is_defending BOOLEAN, total_reward DOUBLE, age INTEGER);
CREATE TABLE IF NOT EXISTS simulation_steps (simulation_id VARCHAR, step_number INTEGER,
    total_agents INTEGER, total_resources DOUBLE, average_reward DOUBLE, births INTEGER,
    deaths INTEGER);
CREATE TABLE IF NOT EXISTS agent_actions (simulation_id VARCHAR, step_number INTEGER,
    agent_id VARCHAR, action_type VARCHAR, reward DOUBLE, details VARCHAR);
CREATE TABLE IF NOT EXISTS metrics (simulation_id VARCHAR, name VARCHAR, step_number INTEGER,
    value DOUBLE);
"""
STEP = "total_agents", "total_resources", "average_reward", "births", "deaths"
ACTION = "step_number", "agent_id", "action_type", "reward", "details"


class Duckdb(Baseline):
    survives = "disk"
    unfair = "waits for the disk at each step: compare its CPU time"

    def __init__(self, folder):
        self._open(str(folder / "experiment.duckdb"))

    def _open(self, file):
        self.db = duckdb.connect(file)
        self.db.execute(SCHEMA)

    hurried = False

    def hurry(self):
        self.db.execute("BEGIN")
        self.hurried = True

    def begin(self, simulation, _agents):
        self.simulation = simulation

    def log_steps(self, made, done=lambda: None):
        for step in made:
            self._step(step, dict(zip(STATE, zip(*step.states, strict=True), strict=True)))
            done()

    def log_columns(self, made):
        for step in made:
            self._step(step, step.states)

    def _step(self, step, columns):
        rows = pa.table({key: pa.array(values) for key, values in columns.items()})  # noqa: F841
        values = [step.metrics.get(column) for column in STEP]
        if not self.hurried:
            self.db.execute("BEGIN")
        mine = [self.simulation, step.number]
        names = ", ".join(STATE)
        self.db.execute(f"INSERT INTO agent_states SELECT ?, ?, {names} FROM rows", mine)
        self.db.execute("INSERT INTO simulation_steps VALUES (?, ?, ?, ?, ?, ?, ?)", mine + values)
        if not self.hurried:
            self.db.execute("COMMIT")

    def log_actions(self, actions):
        waiting = []
        for n, action in enumerate(actions, 1):
            details = action.get("details")
            waiting.append(action | {"details": details and json.dumps(details)})
            if len(waiting) == BUFFER or n == len(actions):
                columns = {name: [one[name] for one in waiting] for name in ACTION}
                columns["details"] = pa.array(columns["details"], pa.string())
                rows = pa.table(columns)  # noqa: F841
                sql = f"INSERT INTO agent_actions SELECT ?, {', '.join(ACTION)} FROM rows"
                self.db.execute(sql, [self.simulation])
                waiting = []

    def log_metrics(self, metrics):
        names, values, steps = zip(*metrics, strict=True)
        rows = pa.table({"n": names, "v": values, "s": steps})  # noqa: F841
        self.db.execute("INSERT INTO metrics SELECT ?, n, s, v FROM rows", [self.simulation])

    def log_metrics_each(self, metrics):
        for name, value, step in metrics:
            row = [self.simulation, name, step, value]
            self.db.execute("INSERT INTO metrics VALUES (?, ?, ?, ?)", row)

    def states(self, simulation):
        return self.db.execute(
            f"SELECT step_number, {', '.join(STATE)} FROM agent_states WHERE simulation_id = ?",
            [simulation],
        ).df()

    def actions(self):
        return self.db.execute(f"SELECT {', '.join(ACTION)} FROM agent_actions").fetchall()

    def metrics(self):
        return self.db.execute("SELECT name, value, step_number FROM metrics").fetchall()

    def compare(self, simulations):
        rows = self.db.execute("""SELECT simulation_id, population, mean FROM
            (SELECT simulation_id, arg_max(total_agents, step_number) AS population
             FROM simulation_steps GROUP BY 1) JOIN
            (SELECT simulation_id, avg(total_reward) AS mean FROM agent_states GROUP BY 1)
            USING (simulation_id)""").fetchall()
        found = {one: (population, mean) for one, population, mean in rows}
        return {one: found[one] for one in simulations}

    def compact(self, _simulations):
        self.db.execute("CHECKPOINT")

    def close(self):
        if self.hurried:
            self.db.execute("COMMIT")
        self.db.close()


class Memory(InMemory, Duckdb):
    """In memory, copied into a file."""

    def __init__(self):
        self._open(":memory:")

    def persist(self, folder):
        self.db.execute(f"ATTACH '{folder / 'experiment.duckdb'}' AS kept")
        self.db.execute("COPY FROM DATABASE memory TO kept")
        self.db.execute("DETACH kept")


Duckdb.in_memory = Memory
