"""Siltstone records what numeric runs produce: one SQLite file, safe while it is written.

:func:`open` gives one handle on a file, or on a folder of ticks, with its stores; :func:`view` shows what is in it;
:func:`lake` looks after what many files have published. :func:`init` begins a run in three lines.

The stores:

- :mod:`siltstone.simulation`: updates of entity groups, and the state at any time.
- :mod:`siltstone.ticks`: quotes of symbols as they come in, and their history by day.
- :mod:`siltstone.series`: time series behind one protocol, in memory and in files.
- :mod:`siltstone.experiment`: many simulations in one file, compared in one query.
- :mod:`siltstone.memory`: episodes, concepts and learning events of an agent; search, recall, replay.
"""

import sys as _sys

from siltstone import errors, experiment, memory, series, simulation, ticks
from siltstone._arguments import name_them as _name_them
from siltstone._extension import sqlite_extension_path
from siltstone._import import Imported, import_, import_kinds
from siltstone._lake import Lake, LakeReport, LakeSender, LakeTable, VacuumReport, lake
from siltstone._open import Handle, open
from siltstone._query import QueryResult
from siltstone._reports import BackupReport, CompactReport, PublishedTable, PublishReport, Skipped, VerifyReport
from siltstone._restore import restore
from siltstone._run import Run, init, track
from siltstone._run_values import Histogram
from siltstone._scan import scan_records, scan_series, scan_states, scan_ticks
from siltstone._siltstone import __version__
from siltstone._table import Table, Written
from siltstone._view import View, view
from siltstone.errors import SiltstoneError
from siltstone.memory._errors import documented as _documented

__all__ = [
    "BackupReport",
    "CompactReport",
    "Handle",
    "Histogram",
    "Imported",
    "Lake",
    "LakeReport",
    "LakeSender",
    "LakeTable",
    "PublishReport",
    "PublishedTable",
    "QueryResult",
    "Run",
    "SiltstoneError",
    "Skipped",
    "Table",
    "VacuumReport",
    "VerifyReport",
    "View",
    "Written",
    "__version__",
    "errors",
    "experiment",
    "import_",
    "import_kinds",
    "init",
    "lake",
    "memory",
    "open",
    "restore",
    "scan_records",
    "scan_series",
    "scan_states",
    "scan_ticks",
    "series",
    "simulation",
    "sqlite_extension_path",
    "ticks",
    "track",
    "view",
]

_name_them(_sys.modules[__name__], experiment, memory, series, simulation, ticks, memory=_documented)
