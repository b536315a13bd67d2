"""The SQLAlchemy models: on a database that AgentFarm wrote, and on one of ours."""

import json
import sqlite3
from contextlib import contextmanager

import pytest

sa = pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed", minversion="2")

from sqlalchemy.exc import OperationalError

from siltstone.experiment import ExperimentDatabase
from siltstone.experiment import models as m

#: Model, documented table, and the columns that the reference tells of it.
TABLES = {
    m.ExperimentModel: (
        "experiments",
        "experiment_id name description hypothesis creation_date last_updated status tags variables "
        "results_summary notes",
    ),
    m.Simulation: (
        "simulations",
        "simulation_id experiment_id start_time end_time status parameters results_summary simulation_db_path",
    ),
    m.AgentModel: (
        "agents",
        "simulation_id agent_id birth_time death_time agent_type position_x position_y "
        "initial_resources starting_health genome_id generation action_weights",
    ),
    m.AgentStateModel: (
        "agent_states",
        "id simulation_id step_number agent_id position_x position_y position_z resource_level "
        "current_health starting_health starvation_counter is_defending total_reward age",
    ),
    m.ResourceModel: (
        "resource_states",
        "id simulation_id step_number resource_id amount position_x position_y",
    ),
    m.SimulationStepModel: (
        "simulation_steps",
        "step_number simulation_id total_agents agent_type_counts total_resources "
        "average_agent_resources births deaths current_max_generation resource_efficiency "
        "resource_distribution_entropy average_agent_health average_agent_age average_reward "
        "genetic_diversity dominant_genome_ratio resources_consumed",
    ),
    m.ActionModel: (
        "agent_actions",
        "action_id simulation_id step_number agent_id action_type action_target_id reward details "
        "module_type module_id",
    ),
    m.HealthIncident: (
        "health_incidents",
        "incident_id simulation_id step_number agent_id health_before health_after cause details",
    ),
    m.SimulationConfig: ("simulation_config", "simulation_id config_id timestamp config_data"),
}


@contextmanager
def session_on(path):
    factory = m.session_factory(path)
    with factory() as session:
        yield session
    factory.kw["bind"].dispose()


@pytest.fixture
def agentfarm(shared):
    return shared / "data" / "experiment"


@pytest.fixture
def real(agentfarm):
    """A session on a database that AgentFarm wrote."""
    with session_on(agentfarm / "agents.db") as session:
        yield session


@pytest.fixture
def expected(agentfarm):
    return json.loads((agentfarm / "expected.json").read_text())


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_a_model_has_the_documented_table_and_columns(model):
    """Goal: names are those of the description, in its order."""
    table, columns = TABLES[model]
    assert model.__tablename__ == table
    documented = [c.key for c in model.__mapper__.column_attrs if not c.deferred]
    assert documented == columns.split()


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_every_row_of_the_agentfarm_database_is_read(model, agentfarm, real):
    """Goal: each row comes as plain `sqlite3` has it, under the documented names."""
    table, columns = TABLES[model]
    names = columns.split()
    with sqlite3.connect(f"file:{agentfarm / 'agents.db'}?mode=ro&immutable=1", uri=True) as db:
        rows = db.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
    kept = [name for name in names if _is_plain(model, name)]
    places = [names.index(name) for name in kept]
    found = [one.as_dict() for one in real.query(model)]
    assert rows and all(list(one) == names for one in found)
    want = sorted(repr(tuple(row[place] for place in places)) for row in rows)
    assert sorted(repr(tuple(one[name] for name in kept)) for one in found) == want


def _is_plain(model, name):
    """Whether Python's type of a value is SQLite's."""
    kind = model.__table__.c[name].type
    return not isinstance(kind, (sa.JSON, sa.DateTime, sa.Boolean))


def test_values_have_the_types_of_their_columns(real):
    """Goal: JSON is parsed, times are times, truth is a bool."""
    simulation = real.get(m.Simulation, "sim_000")
    assert simulation.results_summary == {"final_agents": 40, "steps": 201}
    assert simulation.start_time < simulation.end_time
    state = real.scalars(sa.select(m.AgentStateModel).limit(1)).one()
    assert isinstance(state.is_defending, bool)


def test_the_agentfarm_loop_for_the_final_population(real, expected):
    """Goal: the description's comparison runs as it is written, and gives the expected facts."""
    for sim_id, facts in expected["simulations"].items():
        final_step = (
            real.query(m.SimulationStepModel)
            .filter(m.SimulationStepModel.simulation_id == sim_id)
            .order_by(m.SimulationStepModel.step_number.desc())
            .first()
        )
        want = facts["final_step"]
        assert final_step.total_agents == want["total_agents"]
        assert final_step.total_resources == want["total_resources"]
        assert final_step.agent_type_counts == json.loads(want["agent_type_counts"])


def test_relations_lead_from_an_experiment_to_its_states(real, expected):
    """Goal: what belongs together is reached without a join of one's own."""
    simulations = {one.simulation_id: one for one in real.query(m.ExperimentModel).one().simulations}
    assert simulations.keys() == expected["simulations"].keys()
    facts = expected["simulations"]["sim_000"]
    simulation = simulations["sim_000"]
    assert simulation.experiment.name == expected["experiments"][0]["name"]
    assert len(simulation.agents) == facts["rows"]["agents"]
    assert [step.step_number for step in simulation.steps] == list(range(201))
    sample = facts["sample_agent"]
    agent = real.get(m.AgentModel, ("sim_000", sample["agent_id"]))
    assert len(agent.states) == sample["n_states"]
    last = agent.states[-1].as_dict()
    assert {key: last[key] for key in sample["last_state"]} == sample["last_state"]


def test_a_session_cannot_write(agentfarm, tmp_path):
    """Goal: whatever is added, the file stays as it is."""
    copy = tmp_path / "copy.db"
    before = (agentfarm / "agents.db").read_bytes()
    copy.write_bytes(before)
    with session_on(copy) as session:
        session.add(m.ExperimentModel(experiment_id="new", name="new"))
        with pytest.raises(OperationalError, match="readonly"):
            session.commit()
    assert copy.read_bytes() == before


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    """Goal: a mistyped path is an error and leaves nothing."""
    with session_on(tmp_path / "none.db") as session, pytest.raises(OperationalError):
        session.query(m.Simulation).all()
    assert list(tmp_path.iterdir()) == []


def test_a_path_may_have_any_characters(agentfarm, tmp_path):
    """Goal: what means something in an address is part of a name all the same."""
    odd = tmp_path / "a b%20#1?mode=rw&c.db"
    odd.write_bytes((agentfarm / "agents.db").read_bytes())
    with session_on(odd) as session:
        assert len(session.query(m.Simulation).all()) == 3
    assert list(tmp_path.iterdir()) == [odd]


def test_all_tables_of_a_file_of_ours_are_read(tmp_path):
    """Goal: the views of the documented names give what was logged; ours are read when they are asked for."""
    with ExperimentDatabase(tmp_path / "sweep.db", "exp") as db:
        sim = db.create_simulation_context("sim_000", {"seed": 7})
        log = sim.logger
        log.log_agent("a", 0, "system", (1.0, 2.0), 3.0, 100.0, action_weights={"move": 0.5})
        metrics = {"total_agents": 1, "agent_type_counts": {"system": 1}, "own": 2.5}
        state = ("a", 1.0, 2.0, 3.0, 90.0, 100.0, 2, True, 0.5, 3)
        log.log_step(4, [state], [("r", 5.0, 6.0, 7.0)], metrics)
        log.log_agent_action(4, "a", "move", reward=0.25, details={"far": True})
        log.log_health_incident(4, "a", 100.0, 90.0, "combat")
        with db.Session() as session:
            (found,) = [one.as_dict() for one in session.query(m.AgentStateModel)]
            assert found | dict(zip(STATE, state, strict=True)) == found
            assert (found["id"], found["step_number"]) == ("sim_000:a-4", 4)
            assert session.query(m.ResourceModel).one().amount == 5.0
            assert json.loads(session.query(m.ActionModel).one().details) == {"far": True}
            assert session.query(m.HealthIncident).one().health_after == 90.0
            agent = session.query(m.AgentModel).one()
            assert agent.action_weights == {"move": 0.5}
            assert [state.step_number for state in agent.states] == [4]
            simulation = session.query(m.Simulation).one()
            assert "provenance" not in simulation.as_dict()
            assert simulation.experiment.experiment_id == "exp"
            assert simulation.provenance["python"]
            assert "provenance" in simulation.as_dict()
            assert simulation.steps[0].agent_type_counts == {"system": 1}


STATE = (
    "agent_id", "position_x", "position_y", "resource_level", "current_health", "starting_health",
    "starvation_counter", "is_defending", "total_reward", "age",
)  # fmt: skip
