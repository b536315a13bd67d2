"""AgentFarm: SQLAlchemy models of the documented tables, bulk inserts and a commit a step.

Written anew from the description, as its code does it: a session a call; dicts of rows in bulk; the row of
a step is looked for before it is written; actions wait until there are 1,000; foreign keys are enforced, so
agents are registered first; pragmas of the profile "balanced".
"""

import json
from copy import deepcopy
from datetime import datetime

import pandas as pd
import sqlalchemy as sa
from data import STATE
from baseline import InMemory, Baseline
from sqlalchemy.orm import DeclarativeBase, mapped_column, sessionmaker
from sqlalchemy.pool import StaticPool

BUFFER = 1_000


class Base(DeclarativeBase):
    pass


def _column(kind, *more, **options):
    return mapped_column(kind, *more, **options)


def _text(length=64, *more, **options):
    return _column(sa.String(length), *more, **options)


def _of_simulation(**options):
    return _text(64, sa.ForeignKey("simulations.simulation_id"), **options)


def _of_agent(**options):
    return _text(64, sa.ForeignKey("agents.agent_id"), **options)


class Simulation(Base):
    __tablename__ = "simulations"
    simulation_id = _text(primary_key=True)
    start_time = _column(sa.DateTime, default=datetime.now)
    end_time = _column(sa.DateTime)
    status = _text(50, default="running")
    parameters = _column(sa.JSON, nullable=False)
    results_summary = _column(sa.JSON)
    simulation_db_path = _text(255, nullable=False)


class Agent(Base):
    __tablename__ = "agents"
    simulation_id = _of_simulation()
    agent_id = _text(primary_key=True)
    birth_time = _column(sa.Integer, index=True)
    death_time = _column(sa.Integer, index=True)
    agent_type = _text(50, index=True)


class AgentState(Base):
    __tablename__ = "agent_states"
    __table_args__ = (sa.Index("agent_states_agent_step", "agent_id", "step_number"),)
    id = _text(128, primary_key=True)
    simulation_id = _of_simulation()
    step_number = _column(sa.Integer, index=True)
    agent_id = _of_agent(index=True)
    position_x = _column(sa.Float)
    position_y = _column(sa.Float)
    position_z = _column(sa.Float)
    resource_level = _column(sa.Float)
    current_health = _column(sa.Float)
    starting_health = _column(sa.Float)
    starvation_counter = _column(sa.Integer)
    is_defending = _column(sa.Boolean)
    total_reward = _column(sa.Float)
    age = _column(sa.Integer)


class Step(Base):
    __tablename__ = "simulation_steps"
    step_number = _column(sa.Integer, primary_key=True, index=True)
    simulation_id = _of_simulation(primary_key=True, index=True)
    total_agents = _column(sa.Integer)
    total_resources = _column(sa.Float)
    average_reward = _column(sa.Float)
    births = _column(sa.Integer)
    deaths = _column(sa.Integer)
    resources_consumed = _column(sa.Float, default=0.0)


class Action(Base):
    __tablename__ = "agent_actions"
    action_id = _column(sa.Integer, primary_key=True)
    simulation_id = _of_simulation()
    step_number = _column(sa.Integer, nullable=False, index=True)
    agent_id = _of_agent(nullable=False, index=True)
    action_type = _text(20, nullable=False, index=True)
    action_target_id = _text()
    reward = _column(sa.Float)
    details = _text(1024)
    module_type = _text(50, index=True)
    module_id = _text()


def _connected(connection, _record):
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -204800;"
        "PRAGMA busy_timeout = 30000; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON"
    )


class AgentFarm(Baseline):
    def __init__(self, folder):
        self._open(sa.create_engine(f"sqlite:///{folder / 'experiment.db'}"))

    def _open(self, engine):
        self.engine = engine
        sa.event.listen(engine, "connect", _connected)
        Base.metadata.create_all(engine)
        self.make = sessionmaker(engine)

    def begin(self, simulation, agents):
        self.simulation, self.waiting = simulation, []
        with self.make() as session:
            row = Simulation(simulation_id=simulation, parameters={}, simulation_db_path="-")
            session.add(row)
            session.flush()
            about = {"simulation_id": simulation, "birth_time": 0, "agent_type": "system"}
            session.bulk_insert_mappings(Agent, [about | {"agent_id": one} for one in agents])
            session.commit()

    def log_steps(self, made, done=lambda: None):
        for step in made:
            self.log_step(step.number, step.states, step.metrics)
            done()

    def log_step(self, number, states, metrics):
        rows = {}
        for state in states:
            row = dict(zip(STATE, state, strict=True))
            row["id"] = f"{self.simulation}:{state[0]}-{number}"
            row |= {"simulation_id": self.simulation, "step_number": number}
            rows[row["id"]] = row
        with self.make() as session:
            session.bulk_insert_mappings(AgentState, list(rows.values()))
            there = session.query(Step).filter(
                Step.simulation_id == self.simulation, Step.step_number == number
            )
            if (row := there.first()) is None:
                session.add(Step(simulation_id=self.simulation, step_number=number, **metrics))
            else:
                for key, value in metrics.items():
                    setattr(row, key, value)
            session.commit()

    def log_actions(self, actions):
        for action in actions:
            self.log_action(**action)
        self.flush()

    def log_action(self, step_number, agent_id, action_type, reward=None, details=None):
        if step_number < 0:
            raise ValueError("a step is not negative")
        if details is not None:
            details = json.dumps(deepcopy(details))
        row = {"simulation_id": self.simulation, "step_number": step_number, "agent_id": agent_id}
        row |= {"action_type": action_type, "reward": reward, "details": details}
        row |= {"action_target_id": None, "module_type": None, "module_id": None}
        self.waiting.append(row)
        if len(self.waiting) >= BUFFER:
            self.flush()

    def flush(self):
        with self.make() as session:
            session.bulk_insert_mappings(Action, self.waiting)
            session.commit()
        self.waiting = []

    def states(self, simulation):
        query = sa.select(AgentState.__table__).where(AgentState.simulation_id == simulation)
        with self.engine.connect() as db:
            return pd.read_sql(query, db)

    def actions(self):
        columns = Action.step_number, Action.agent_id, Action.action_type
        with self.make() as session:
            return list(map(tuple, session.query(*columns, Action.reward, Action.details)))

    def compare(self, simulations):
        """The description's loop for the population; one statement for the mean of all."""
        mean = sa.func.avg(AgentState.total_reward)
        found = {}
        with self.make() as session:
            by = session.query(AgentState.simulation_id, mean).group_by(AgentState.simulation_id)
            means = dict(map(tuple, by))
            for one in simulations:
                last = session.query(Step).filter(Step.simulation_id == one)
                last = last.order_by(Step.step_number.desc()).first()
                found[one] = last.total_agents, means[one]
        return found

    def close(self):
        self.engine.dispose()


class Memory(InMemory, AgentFarm):
    def __init__(self):
        self._open(sa.create_engine("sqlite://", poolclass=StaticPool))

    def persist(self, folder):
        kept = AgentFarm(folder)
        with self.engine.connect() as source, kept.engine.begin() as target:
            for table in Base.metadata.sorted_tables:
                rows = [dict(row) for row in source.execute(sa.select(table)).mappings().fetchall()]
                for first in range(0, len(rows), BUFFER):
                    target.execute(sa.insert(table), rows[first : first + BUFFER])
        kept.close()


AgentFarm.in_memory = Memory
