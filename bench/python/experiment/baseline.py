"""What every store in this bench does, and the list of them."""

from importlib import import_module
from pathlib import Path

import pandas as pd
from data import Step


class Baseline:
    """One store in one folder; what it cannot do raises `NotImplementedError` with the reason.

    Attributes
    ----------
    survives
        What a step is safe from once its call is done: `-` (nothing), `process` (its end), `disk` (a loss of power).
    unfair
        Why its figures do not compare one to one with the others; empty if they do.
    """

    survives = "process"
    unfair = ""

    def __init__(self, folder: Path) -> None:
        """Open the store, and make it if it is not there."""
        raise NotImplementedError

    def begin(self, simulation: str, agents: list[str]) -> None:
        """Make a simulation and what must be known of its agents; not timed."""
        raise NotImplementedError("it logs metrics only")

    def log_steps(self, made: list[Step], done=lambda: None) -> None:
        """Log them to the simulation that was begun, a call a step; `done` is called after each."""
        raise NotImplementedError("it logs metrics only")

    def log_columns(self, made: list[Step]) -> None:
        """The same of columns."""
        raise NotImplementedError("it takes rows, no columns")

    def log_actions(self, actions: list[dict]) -> None:
        """A call an action, and what waits is written."""
        raise NotImplementedError("it logs metrics only")

    def log_metrics(self, metrics: list[tuple[str, float, int]]) -> None:
        """A call a metric, and what waits is written."""
        raise NotImplementedError("it has no call for a metric")

    def log_metrics_each(self, metrics: list[tuple[str, float, int]]) -> None:
        """A call a metric, each of which is safe when its call is done."""
        raise NotImplementedError("it has no call for a metric")

    def states(self, simulation: str) -> pd.DataFrame:
        """All states of the agents of one simulation."""
        raise NotImplementedError("it logs metrics only")

    def actions(self) -> list[tuple]:
        """Step, agent, type, reward and details of all actions."""
        raise NotImplementedError("it logs metrics only")

    def metrics(self) -> list[tuple[str, float, int]]:
        """Name, value and step of all metrics."""
        raise NotImplementedError("it has no call for a metric")

    def compare(self, simulations: list[str]) -> dict[str, tuple[float, float]]:
        """The final population and the mean of `total_reward` over all states, of each."""
        raise NotImplementedError("it logs metrics only")

    def compact(self, simulations: list[str]) -> None:
        """Pack what can be packed."""
        raise NotImplementedError("it has no blocks to compact")

    def hurry(self) -> None:
        """What is logged from now on need not be safe before the store is closed; nothing of it is timed."""

    def end(self) -> None:
        """The simulation that was begun is over."""

    def close(self) -> None:
        """Let the store go; all is written."""


class InMemory:
    """Makes of a baseline one in memory, which keeps what it has in a file in the end."""

    def persist(self, folder: Path) -> None:
        """Keep it in the file that the baseline opens in that folder."""
        raise NotImplementedError


# Imported one by one, so that a process pays for, and needs, only the store that it runs.
BASELINES = {
    "siltstone": "package_baseline:Siltstone",
    "siltstone_buffered": "package_baseline:Buffered",
    "agentfarm": "agentfarm_baseline:AgentFarm",
    "sqlite3_same": "sqlite_baseline:Same",
    "sqlite3_lean": "sqlite_baseline:Lean",
    "sqlite3_grouped": "sqlite_baseline:Grouped",
    "duckdb": "duckdb_baseline:Duckdb",
    "mlflow_file": "mlflow_baseline:File",
    "mlflow_sqlite": "mlflow_baseline:Sqlite",
}


def load(name: str) -> type[Baseline]:
    """Import the class of the baseline `name`; what runs in memory for it is its `in_memory`, if it has one."""
    module, _, attribute = BASELINES[name].partition(":")
    return getattr(import_module(module), attribute)
