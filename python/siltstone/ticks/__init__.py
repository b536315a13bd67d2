"""The tick store: quotes of symbols as they come in, and their history by day.

Examples
--------
>>> from siltstone.ticks import TickStore, TickStoreConfig
>>> import os, tempfile
>>> base = os.path.join(tempfile.mkdtemp(), "db")
>>> config = TickStoreConfig.production("BROKER-001", sqlite_base_path=base)
>>> first = 1_700_000_000 * 10**9  # ns since 1970
>>> with TickStore(config) as store:
...     for n in range(3):
...         _ = store.store_tick("EURUSD", 1.0850 + n, 1.0852 + n, 0.0002, "YOFX", first + n * 10**9)
...     store.get_ticks_in_range("EURUSD", first, first + 10**9).bid
array([1.085, 2.085])
"""

from siltstone._siltstone import ticks_now_ns as now_ns
from siltstone._siltstone import ticks_quality as quality
from siltstone.ticks._columns import AsOf, Bars, Gaps, Ticks
from siltstone.ticks._config import Outcome, StorageBackend, TickStoreConfig
from siltstone.ticks._folders import doctor, import_quotes, import_ticks
from siltstone.ticks._reports import (
    CompactedDay,
    DayInfo,
    DoctorReport,
    FlushReport,
    RetainedDay,
    Tick,
    TickImportReport,
)
from siltstone.ticks._store import TickStore

__all__ = [
    "AsOf",
    "Bars",
    "CompactedDay",
    "DayInfo",
    "DoctorReport",
    "FlushReport",
    "Gaps",
    "Outcome",
    "RetainedDay",
    "StorageBackend",
    "Tick",
    "TickImportReport",
    "TickStore",
    "TickStoreConfig",
    "Ticks",
    "doctor",
    "import_quotes",
    "import_ticks",
    "now_ns",
    "quality",
]
