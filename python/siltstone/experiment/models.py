"""SQLAlchemy models of the documented tables, for reading: proof that the file is plain SQLite.

They need the extra ``siltstone[sqlalchemy]``. What is written goes through
:class:`~siltstone.experiment.ExperimentDatabase`; sessions of :func:`session_factory` cannot write. A simulation that
is compacted keeps its big tables in column blocks: SQLite alone refuses them (``no such table: main.silt_block``)
until :meth:`siltstone.Handle.expand` makes rows again; :meth:`~siltstone.experiment.ExperimentDatabase.query` and
:meth:`~siltstone.experiment.ExperimentDatabase.records` read them.

Examples
--------
>>> import os, tempfile
>>> from sqlalchemy import select
>>> from siltstone.experiment import ExperimentDatabase
>>> from siltstone.experiment.models import SimulationStepModel
>>> db = ExperimentDatabase(os.path.join(tempfile.mkdtemp(), "sweep.db"), "exp_001")
>>> with db.create_simulation_context("sim_000") as sim:
...     sim.log_step(0, metrics={"total_agents": 12})
>>> with db.Session() as session:
...     session.scalars(select(SimulationStepModel)).one().total_agents
12
>>> db.close()
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    String,
    create_engine,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.pool import QueuePool

from siltstone import _json

__all__ = [
    "ActionModel",
    "AgentModel",
    "AgentStateModel",
    "Base",
    "ExperimentModel",
    "HealthIncident",
    "MetricModel",
    "ResourceModel",
    "Simulation",
    "SimulationConfig",
    "SimulationStepModel",
    "session_factory",
]


class Base(DeclarativeBase):
    """What all models share."""

    def as_dict(self) -> dict[str, Any]:
        """The documented columns and their values; those that are ours are among them once they were read."""
        unread = inspect(self).unloaded
        return {
            column.key: getattr(self, column.key)
            for column in self.__mapper__.column_attrs
            if not (column.deferred and column.key in unread)
        }

    def __repr__(self) -> str:
        key = ", ".join(repr(getattr(self, str(column.key))) for column in self.__mapper__.primary_key)
        return f"{type(self).__name__}({key})"


def _text(length: int, **options: Any) -> Any:
    return mapped_column(String(length), **options)


def _float() -> Any:
    return mapped_column(Float)


def _int(**options: Any) -> Any:
    return mapped_column(Integer, **options)


def _ours(kind: Any) -> Any:
    """A column that is not documented. It is read when it is asked for: files of AgentFarm lack it."""
    return mapped_column(kind, deferred=True)


def _simulation(**options: Any) -> Any:
    return mapped_column(String(64), ForeignKey("simulations.simulation_id"), **options)


class ExperimentModel(Base):
    """A row of ``experiments``."""

    __tablename__ = "experiments"

    experiment_id = _text(64, primary_key=True)
    name = _text(255)
    description = _text(4096)
    hypothesis = _text(2048)
    creation_date = mapped_column(DateTime)
    last_updated = mapped_column(DateTime)
    status = _text(50)
    tags = mapped_column(JSON)
    variables = mapped_column(JSON)
    results_summary = mapped_column(JSON)
    notes = _text(4096)
    simulations = relationship("Simulation", back_populates="experiment")


#: The name that is documented beside :class:`ExperimentModel`.
Experiment = ExperimentModel


class Simulation(Base):
    """A row of ``simulations``."""

    __tablename__ = "simulations"

    simulation_id = _text(64, primary_key=True)
    experiment_id = mapped_column(String(64), ForeignKey("experiments.experiment_id"))
    start_time = mapped_column(DateTime)
    end_time = mapped_column(DateTime)
    status = _text(50)
    parameters = mapped_column(JSON)
    results_summary = mapped_column(JSON)
    simulation_db_path = _text(255)
    error = _ours(String(4096))
    safe_step = _ours(Integer)
    provenance = _ours(JSON)
    experiment = relationship("ExperimentModel", back_populates="simulations")
    agents = relationship("AgentModel", viewonly=True, order_by="AgentModel.agent_id")
    steps = relationship("SimulationStepModel", viewonly=True, order_by="SimulationStepModel.step_number")


class AgentModel(Base):
    """A row of ``agents``: one of a simulation and id."""

    __tablename__ = "agents"

    simulation_id = _simulation(primary_key=True)
    agent_id = _text(64, primary_key=True)
    birth_time = _int()
    death_time = _int()
    agent_type = _text(50)
    position_x = _float()
    position_y = _float()
    initial_resources = _float()
    starting_health = _float()
    genome_id = _text(64)
    generation = _int()
    action_weights = mapped_column(JSON)
    states = relationship(
        "AgentStateModel",
        primaryjoin="and_(AgentModel.simulation_id == foreign(AgentStateModel.simulation_id), "
        "AgentModel.agent_id == foreign(AgentStateModel.agent_id))",
        viewonly=True,
        order_by="AgentStateModel.step_number",
    )


class AgentStateModel(Base):
    """A row of ``agent_states``."""

    __tablename__ = "agent_states"

    id = _text(128, primary_key=True)
    simulation_id = _simulation()
    step_number = _int()
    agent_id = _text(64)
    position_x = _float()
    position_y = _float()
    position_z = _float()
    resource_level = _float()
    current_health = _float()
    starting_health = _float()
    starvation_counter = _int()
    is_defending = mapped_column(Boolean)
    total_reward = _float()
    age = _int()


class ResourceModel(Base):
    """A row of ``resource_states``."""

    __tablename__ = "resource_states"

    id = _int(primary_key=True)
    simulation_id = _simulation()
    step_number = _int()
    resource_id = _text(64)
    amount = _float()
    position_x = _float()
    position_y = _float()


class SimulationStepModel(Base):
    """A row of ``simulation_steps``."""

    __tablename__ = "simulation_steps"

    step_number = _int(primary_key=True)
    simulation_id = _simulation(primary_key=True)
    total_agents = _int()
    agent_type_counts = mapped_column(JSON)
    total_resources = _float()
    average_agent_resources = _float()
    births = _int()
    deaths = _int()
    current_max_generation = _int()
    resource_efficiency = _float()
    resource_distribution_entropy = _float()
    average_agent_health = _float()
    average_agent_age = _float()
    average_reward = _float()
    genetic_diversity = _float()
    dominant_genome_ratio = _float()
    resources_consumed = _float()
    other_metrics = _ours(JSON)


class ActionModel(Base):
    """A row of ``agent_actions``."""

    __tablename__ = "agent_actions"

    action_id = _int(primary_key=True)
    simulation_id = _simulation()
    step_number = _int()
    agent_id = _text(64)
    action_type = _text(20)
    action_target_id = _text(64)
    reward = _float()
    details = _text(1024)
    module_type = _text(50)
    module_id = _text(64)


class HealthIncident(Base):
    """A row of ``health_incidents``."""

    __tablename__ = "health_incidents"

    incident_id = _int(primary_key=True)
    simulation_id = _simulation()
    step_number = _int()
    agent_id = _text(64)
    health_before = _float()
    health_after = _float()
    cause = _text(50)
    details = _text(512)


class SimulationConfig(Base):
    """A row of ``simulation_config``."""

    __tablename__ = "simulation_config"

    simulation_id = _simulation()
    config_id = _int(primary_key=True)
    timestamp = _int()
    config_data = _text(4096)


class MetricModel(Base):
    """A row of ``simulation_metrics``."""

    __tablename__ = "simulation_metrics"

    simulation_id = _simulation(primary_key=True)
    name = _text(255, primary_key=True)
    step_number = _int(primary_key=True)
    value = _float()
    time_ms = _int()


def session_factory(path: str | os.PathLike[str]) -> sessionmaker[Session]:
    """Makes sessions that read a file; they cannot write.

    Parameters
    ----------
    path : path
        The file, which must be there.

    Returns
    -------
    sessionmaker
        Call it for a session. ``factory.kw["bind"].dispose()`` lets the file go.
    """
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro"

    # An address of SQLAlchemy's takes a "?" of the path for the begin of options.
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, json_deserializer=_json.loads)
    return sessionmaker(bind=engine)
