"""The simulation store: updates of entity groups as a run writes them, and the state at any time.

Examples
--------
>>> from siltstone.simulation import SimulationDatabase
>>> import os, tempfile
>>> path = os.path.join(tempfile.mkdtemp(), "run.db")
>>> def speeds(ids, speeds):
...     return {"segments": {"id": {"data": ids}, "speed": {"data": speeds}}}
>>> with SimulationDatabase(path) as db:
...     _ = db.store_update(0, 0, "roads", speeds([1, 2], [50.0, 60.0]))
...     _ = db.store_update(10, 0, "roads", speeds([2], [55.0]))
...     db.state_at("roads", "segments", 10)["speed"]["data"]
array([50., 55.])
"""

from siltstone._reports import FileReport, ImportReport, Metadata, Run
from siltstone.simulation._attributes import AttributeInfo, AttributeSpec, TimelineInfo
from siltstone.simulation._collector import DataCollector, Model, Simulation, World
from siltstone.simulation._cursor import Cursor
from siltstone.simulation._database import SimulationDatabase
from siltstone.simulation._files import import_epanet, import_json, import_states, import_sumo
from siltstone.simulation._initial import DatasetFormat, DatasetFormat_
from siltstone.simulation._progress import StateAttribute, TimeProgressingState
from siltstone.simulation._results import (
    ResultDataset,
    SimulationResults,
    SQLiteSimulationResults,
    detect_results_format,
    get_simulation_results,
)
from siltstone.simulation._settings import Settings
from siltstone.simulation._state import State
from siltstone.simulation._strategies import (
    FileStorageStrategy,
    SQLiteStorageStrategy,
    StorageStrategy,
    UpdateInfo,
)
from siltstone.simulation._ticket import Ticket

__all__ = [
    "AttributeInfo",
    "AttributeSpec",
    "Cursor",
    "DataCollector",
    "DatasetFormat",
    "DatasetFormat_",
    "FileReport",
    "FileStorageStrategy",
    "ImportReport",
    "Metadata",
    "Model",
    "ResultDataset",
    "Run",
    "SQLiteSimulationResults",
    "SQLiteStorageStrategy",
    "Settings",
    "Simulation",
    "SimulationDatabase",
    "SimulationResults",
    "State",
    "StateAttribute",
    "StorageStrategy",
    "Ticket",
    "TimeProgressingState",
    "TimelineInfo",
    "UpdateInfo",
    "World",
    "detect_results_format",
    "get_simulation_results",
    "import_epanet",
    "import_json",
    "import_states",
    "import_sumo",
]
