"""Time series behind one protocol: in memory, in Parquet files, in an SQLite file.

A backend keeps series by key, with metadata, and gives them back equal by bits.

Examples
--------
>>> import pandas as pd
>>> from siltstone import series
>>> backend = series.open("memory:")
>>> times = pd.date_range("2013-01-01", periods=3, freq="h", tz="Europe/Paris")
>>> backend.save(pd.Series([1.0, 2.0, 4.0], times), "plant/line#1/RAW#1", {"unit": "mg/l"})
>>> backend.load_range("plant/line#1/RAW#1", "2013-01-01 01:00").tolist()
[2.0, 4.0]
"""

from siltstone.series._backends import (
    Backend,
    PandasDiskAdapter,
    PandasInMemoryAdapter,
    PandasMemoryAdapter,
    PandasOnDiskAdapter,
    PolarsAdapter,
    SeriesInfo,
    SQLAdapter,
    SQLDatabaseAdapter,
    SQLiteAdapter,
    StorageBackend,
    open,
)
from siltstone.series._config import StorageConfig, create_backend
from siltstone.series._container import SeriesContainer
from siltstone.series._described import export_dataset, import_dataset

__all__ = [
    "Backend",
    "PandasDiskAdapter",
    "PandasInMemoryAdapter",
    "PandasMemoryAdapter",
    "PandasOnDiskAdapter",
    "PolarsAdapter",
    "SQLAdapter",
    "SQLDatabaseAdapter",
    "SQLiteAdapter",
    "SeriesContainer",
    "SeriesInfo",
    "StorageBackend",
    "StorageConfig",
    "create_backend",
    "export_dataset",
    "import_dataset",
    "open",
]
