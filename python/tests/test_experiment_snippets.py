"""The examples of the experiment store's description, with their import lines changed."""

import multiprocessing
import os
import random
from datetime import datetime

import pandas as pd
import pytest
from sqlalchemy import select

from siltstone.experiment import (
    ExperimentDatabase,
    InMemorySimulationDatabase,
    SimulationDatabase,
)
from siltstone.experiment.models import AgentStateModel, SimulationStepModel


class SimulationConfig:
    """What the examples call their configuration."""

    seed = 42

    @classmethod
    def from_centralized_config(cls):
        return cls()


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config():
    return SimulationConfig()


agent_states = [
    ("agent_0", 1.0, 2.0, 5.0, 90.0, 100.0, 0, False, 0.5, 0),
    ("agent_1", 3.0, 4.0, 6.0, 80.0, 100.0, 1, True, 1.5, 0),
]
resource_states = [("resource_0", 10.0, 0.0, 0.0)]
metrics = {"total_agents": 2, "total_resources": 10.0, "average_agent_health": 85.0}


def world(logger, seed, steps=20):
    """A small model in place of the description's: agents that walk, eat and die."""
    chance = random.Random(seed)
    health = {f"agent_{i}": 100.0 for i in range(10)}
    for name in health:
        logger.log_agent(name, 0, "walker", (0.0, 0.0), 5.0, 100.0)
    for step in range(steps):
        for name in list(health):
            health[name] -= chance.random() * 20
            logger.log_agent_action(step, name, "move", reward=chance.random(), details={"dx": 1})
            if health[name] <= 0:
                logger.log_health_incident(step, name, 1.0, 0.0, "exhaustion")
                logger.update_agent_death(name, step, "exhaustion")
                del health[name]
        states = [
            (name, chance.random(), chance.random(), 5.0, max(h, 0.0), 100.0, 0, False, 0.1 * step, step)
            for name, h in health.items()
        ]
        logger.log_step(step, states, resource_states, {"total_agents": len(health), "total_resources": 10.0})
    return len(health)


def test_basic_usage(config):
    experiment_db = ExperimentDatabase(db_path="experiments/my_experiment.db", experiment_id="exp_001", config=config)
    for i in range(10):
        sim_id = f"sim_{i:03d}"
        sim_context = experiment_db.create_simulation_context(
            simulation_id=sim_id, parameters={"run": i, "seed": i * 100}
        )
        sim_context.logger.log_step(
            step_number=0,
            agent_states=agent_states,
            resource_states=resource_states,
            metrics=metrics,
        )
        sim_context.flush_all_buffers()
        experiment_db.update_simulation_status(
            simulation_id=sim_id, status="completed", results_summary={"final_agents": 100}
        )

    simulation_ids = experiment_db.get_simulation_ids()
    assert f"Found {len(simulation_ids)} simulations" == "Found 10 simulations"

    session = experiment_db.Session()
    states = session.query(AgentStateModel).filter(AgentStateModel.simulation_id == "sim_001").all()
    assert [(state.agent_id, state.current_health) for state in states] == [("agent_0", 90.0), ("agent_1", 80.0)]
    assert states[0].id == "sim_001:agent_0-0" and states[1].is_defending is True
    assert session.scalars(select(SimulationStepModel)).first().as_dict()["total_agents"] == 2
    session.close()

    session = experiment_db.Session()
    results = []
    for sim_id in experiment_db.get_simulation_ids():
        final_step = (
            session.query(SimulationStepModel)
            .filter(SimulationStepModel.simulation_id == sim_id)
            .order_by(SimulationStepModel.step_number.desc())
            .first()
        )
        if final_step:
            results.append(
                {
                    "simulation_id": sim_id,
                    "final_population": final_step.total_agents,
                    "final_resources": final_step.total_resources,
                }
            )
    df = pd.DataFrame(results)
    assert df.describe().loc["mean", "final_population"] == 2
    session.close()
    experiment_db.close()


def test_a_context_is_a_database_of_its_own(config):
    experiment_id = f"exp_{datetime.now().strftime('%Y%m%d_%H%M%S')}"
    experiment_db = ExperimentDatabase(
        db_path=f"experiments/{experiment_id}.db", experiment_id=experiment_id, config=config
    )
    sim_context = experiment_db.create_simulation_context(
        simulation_id="sim_1", parameters={"steps": 20, "seed": config.seed}
    )
    left = [world(db.logger, 42) for db in (sim_context, SimulationDatabase("sim.db"))]
    sim_context.flush_all_buffers()
    experiment_db.update_simulation_status(simulation_id="sim_1", status="completed")
    alone = SimulationDatabase("sim.db")
    assert left[0] == left[1]
    assert sim_context.agent_states().to_pandas().equals(alone.agent_states().to_pandas())
    with experiment_db.Session() as session:
        assert session.query(AgentStateModel).count() == len(alone.agent_states().to_pandas())
    alone.close()
    experiment_db.close()


def test_in_memory_with_persistence(config):
    sim_id = "sim_mem"
    in_memory_db = InMemorySimulationDatabase(memory_limit_mb=1000, config=config, simulation_id=sim_id)
    world(in_memory_db.logger, 1)
    in_memory_db.persist_to_disk(db_path="experiments/exp_001.db")
    another = InMemorySimulationDatabase(memory_limit_mb=1000, simulation_id="sim_mem_2")
    world(another.logger, 2)
    another.persist_to_disk(db_path="experiments/exp_001.db")
    with ExperimentDatabase("experiments/exp_001.db", "exp_001") as db:
        counts = "SELECT simulation_id, count(*) FROM simulation_steps GROUP BY 1"
        assert db.query(counts).rows == [("sim_mem", 20), ("sim_mem_2", 20)]


def run_single_simulation(args):
    experiment_db_path, experiment_id, sim_id, params = args
    experiment_db = ExperimentDatabase(db_path=experiment_db_path, experiment_id=experiment_id)
    sim_context = experiment_db.create_simulation_context(simulation_id=sim_id, parameters=params)
    world(sim_context.logger, params["population"], steps=5)
    sim_context.flush_all_buffers()
    experiment_db.update_simulation_status(sim_id, "completed")
    experiment_db.close()


def test_a_sweep_one_by_one_and_in_parallel():
    experiment_id = "param_sweep_001"
    db_path = f"experiments/{experiment_id}.db"
    tasks = []
    for i, learning_rate in enumerate([0.01, 0.1, 0.5, 1.0]):
        for j, population in enumerate([10, 50, 100]):
            sim_id = f"sim_lr{i}_pop{j}"
            params = {"learning_rate": learning_rate, "population": population}
            tasks.append((db_path, experiment_id, sim_id, params))
    for task in tasks[:4]:
        run_single_simulation(task)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(run_single_simulation, tasks[4:])
    with ExperimentDatabase(db_path, experiment_id, read_only=True) as db:
        assert len(db.get_simulation_ids()) == 12
        assert {info.status for info in db.simulations()} == {"completed"}
        assert len(db.simulations("params.learning_rate >= 0.5 AND params.population < 100")) == 4


def test_the_migration_guide():
    run_id = 7
    db = SimulationDatabase(f"simulation_{run_id}.db")
    db.logger.log_step(0, agent_states, resource_states, metrics)
    db.close()

    experiment_db = ExperimentDatabase(db_path="experiments/my_experiment.db", experiment_id="exp_001")
    sim_context = experiment_db.create_simulation_context(simulation_id=f"sim_{run_id}")
    sim_context.logger.log_step(0, agent_states, resource_states, metrics)
    sim_context.flush_all_buffers()
    experiment_db.close()
    with ExperimentDatabase("experiments/my_experiment.db", read_only=True) as db:
        assert len(db.agent_states("sim_7").to_pandas()) == 2


def test_the_complete_experiment_runner(capsys):
    experiment_id = f"exp_{datetime.now().strftime('%Y%m%d_%H%M%S')}"
    db_path = f"experiments/{experiment_id}.db"
    os.makedirs("experiments", exist_ok=True)
    config = SimulationConfig.from_centralized_config()
    experiment_db = ExperimentDatabase(db_path=db_path, experiment_id=experiment_id, config=config)
    n_simulations = 10
    for i in range(n_simulations):
        print(f"Running simulation {i + 1}/{n_simulations}")
        sim_id = f"sim_{i:03d}"
        sim_context = experiment_db.create_simulation_context(
            simulation_id=sim_id, parameters={"run_number": i, "seed": i * 100}
        )
        world(sim_context.logger, i * 100)
        sim_context.flush_all_buffers()
        experiment_db.update_simulation_status(
            simulation_id=sim_id, status="completed", results_summary={"steps": 1000}
        )
    experiment_db.update_experiment_status(status="completed", results_summary={"total_simulations": n_simulations})
    experiment_db.close()
    print(f"\nExperiment complete! Database: {db_path}")
    assert "Running simulation 10/10" in capsys.readouterr().out
    with ExperimentDatabase(db_path, read_only=True) as db:
        frame = db.compare(metric=["total_agents"]).to_pandas()
        assert len(frame) == 10 and frame.total_agents.between(0, 10).all()
        deaths = "SELECT count(*) FROM agents WHERE death_time IS NOT NULL"
        incidents = "SELECT count(*) FROM health_incidents WHERE cause = 'exhaustion'"
        assert 2 * db.query(deaths).rows[0][0] == db.query(incidents).rows[0][0] > 0
        assert db.query("SELECT status FROM experiments").rows == [("completed",)]
