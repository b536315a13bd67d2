"""Siltstone records what numeric runs produce: one SQLite file, safe while it is written.

The stores:

- :mod:`siltstone.simulation`: updates of entity groups, and the state at any time.
- :mod:`siltstone.ticks`: quotes of symbols as they come in, and their history by day.
- :mod:`siltstone.series`: time series behind one protocol, in memory and in files.
- :mod:`siltstone.experiment`: many simulations in one file, compared in one query.
- :mod:`siltstone.memory`: episodes, concepts and learning events of an agent; search, recall, replay.
"""

from siltstone import errors, experiment, memory, series, simulation, ticks
from siltstone._query import QueryResult
from siltstone._reports import BackupReport, VerifyReport
from siltstone._restore import restore
from siltstone._siltstone import __version__
from siltstone._table import Table, Written
from siltstone.errors import SiltstoneError

__all__ = [
    "BackupReport",
    "QueryResult",
    "SiltstoneError",
    "Table",
    "VerifyReport",
    "Written",
    "__version__",
    "errors",
    "experiment",
    "memory",
    "restore",
    "series",
    "simulation",
    "ticks",
]
