"""The simulation store: updates of entity groups as a run writes them, and the state at any time.

Examples
--------
>>> from siltstone.simulation import SimulationDatabase
>>> with SimulationDatabase(":tmp:/run.db") as db:  # doctest: +SKIP
...     db.store_update(0, 0, "roads", {"segments": {"id": {"data": [1, 2]}, "speed": {"data": [50.0, 60.0]}}})
...     db.store_update(10, 0, "roads", {"segments": {"id": {"data": [2]}, "speed": {"data": [55.0]}}})
...     db.state_at("roads", "segments", 10)["speed"]["data"]
array([50., 55.])
"""

from siltstone._reports import ImportReport, Metadata, Run
from siltstone.simulation._cursor import Cursor
from siltstone.simulation._database import DatasetFormat, DatasetFormat_, SimulationDatabase
from siltstone.simulation._state import State
from siltstone.simulation._ticket import Ticket

__all__ = [
    "Cursor",
    "DatasetFormat",
    "DatasetFormat_",
    "ImportReport",
    "Metadata",
    "Run",
    "SimulationDatabase",
    "State",
    "Ticket",
]
