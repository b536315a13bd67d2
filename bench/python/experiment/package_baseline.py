"""Siltstone's own package."""

import pandas as pd
from baseline import InMemory, Baseline

from siltstone.experiment import ExperimentDatabase, InMemorySimulationDatabase

FILE = "experiment.db"


class Siltstone(Baseline):
    """As it comes: a step is committed when `log_step` returns."""

    durability = "os"

    def __init__(self, folder):
        self.db = ExperimentDatabase(folder / FILE, "bench")

    def begin(self, simulation, _agents):
        self.simulation = simulation
        self.context = self.db.create_simulation_context(simulation, durability=self.durability)

    def log_steps(self, made, done=lambda: None):
        log_step = self.context.logger.log_step
        for step in made:
            log_step(step.number, step.states, [], step.metrics)
            done()
        self.context.flush_all_buffers()

    log_columns = log_steps

    def log_actions(self, actions):
        log_agent_action = self.context.logger.log_agent_action
        for action in actions:
            log_agent_action(**action)
        self.context.flush_all_buffers()

    def log_metrics(self, metrics):
        log_metric = self.context.log_metric
        for name, value, step in metrics:
            log_metric(name, value, step)
        self.context.flush_all_buffers()

    def log_metrics_each(self, metrics):
        log_metric, flush = self.context.log_metric, self.context.flush_all_buffers
        for name, value, step in metrics:
            log_metric(name, value, step)
            flush()

    def states(self, simulation):
        return self.db.agent_states(simulation).to_pandas()

    def actions(self):
        (simulation,) = self.db.get_simulation_ids()
        found = self.db.records(simulation, "agent_actions").to_arrow()
        names = "step_number", "agent_id", "action_type", "reward", "details"
        return list(zip(*(found.column(name).to_pylist() for name in names), strict=True))

    def metrics(self):
        (simulation,) = self.db.get_simulation_ids()
        return [
            (name, value, step)
            for name in self.db.metric_names(simulation)
            for step, value in self.db.metric(simulation, name)
        ]

    def compare(self, simulations):
        final = self._compare(simulations, "total_agents", "final")
        means = self._compare(simulations, "agent_states.total_reward", "mean")
        return {one: (final[one], means[one]) for one in simulations}

    def _compare(self, simulations, metric, at):
        found: pd.DataFrame = self.db.compare(simulations, metric, at=at).to_pandas()
        return dict(zip(found["simulation_id"], found[metric], strict=True))

    def compact(self, simulations):
        for one in simulations:
            self.db.compact(one)
        self.db.vacuum()

    def end(self):
        self.context.flush_all_buffers()
        self.db.update_simulation_status(self.simulation, "completed")

    def close(self):
        self.db.close()


class Buffered(Siltstone):
    """Rows are committed by size and time."""

    survives = "-"
    unfair = "commits each 1,000 rows: what waits is lost with the process"
    durability = "buffered"


class Memory(InMemory, Siltstone):
    def __init__(self):
        pass

    def begin(self, simulation, _agents):
        self.context = InMemorySimulationDatabase(memory_limit_mb=1_000, simulation_id=simulation)

    def log_steps(self, made, done=lambda: None):
        log_step = self.context.logger.log_step
        for step in made:
            log_step(step.number, step.states, [], step.metrics)

    def persist(self, folder):
        self.context.persist_to_disk(folder / FILE)

    def close(self):
        self.context.close()


Siltstone.in_memory = Memory
