"""The experiment store: many simulations in one file, compared in one query.

- :class:`ExperimentDatabase`: a file of experiments and simulations.
- :class:`SimulationContext`: one simulation of it, which logs.
"""

from siltstone.experiment._config import DataLoggingConfig
from siltstone.experiment._database import ExperimentDatabase, SimulationContext

__all__ = [
    "DataLoggingConfig",
    "ExperimentDatabase",
    "SimulationContext",
]
