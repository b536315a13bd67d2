"""The experiment store: many simulations in one file, compared in one query.

- :class:`ExperimentDatabase`: a file of experiments and simulations.
- :class:`SimulationContext`: one simulation of it, which logs.
- :class:`DataLogger`: what logs a simulation, ``DataLogger(database, simulation_id)``.
- :class:`SimulationDatabase`: one simulation in a file of its own.
- :class:`InMemorySimulationDatabase`: one simulation in memory, until it is kept.
- :mod:`siltstone.experiment.models`: SQLAlchemy models of the documented tables.
"""

from siltstone._reports import Skipped
from siltstone._siltstone import DataLogger
from siltstone.experiment._config import DataLoggingConfig
from siltstone.experiment._database import ExperimentDatabase, SimulationContext
from siltstone.experiment._export import export_data, validate_export_format
from siltstone.experiment._files import import_agentfarm, merge
from siltstone.experiment._reports import (
    Exported,
    ImportReport,
    MergeConflict,
    MergeReport,
    SimulationInfo,
    TableSize,
)
from siltstone.experiment._single import (
    InMemorySimulationDatabase,
    Persisted,
    SimulationDatabase,
    setup_db,
)
from siltstone.experiment._validate import (
    ValidationReport,
    ValidationResult,
    compare_simulations,
    validate_simulation_database,
)

__all__ = [
    "DataLogger",
    "DataLoggingConfig",
    "ExperimentDatabase",
    "Exported",
    "ImportReport",
    "InMemorySimulationDatabase",
    "MergeConflict",
    "MergeReport",
    "Persisted",
    "SimulationContext",
    "SimulationDatabase",
    "SimulationInfo",
    "Skipped",
    "TableSize",
    "ValidationReport",
    "ValidationResult",
    "compare_simulations",
    "export_data",
    "import_agentfarm",
    "merge",
    "setup_db",
    "validate_export_format",
    "validate_simulation_database",
]
