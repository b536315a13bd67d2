"""Time series behind one protocol: in memory, in Parquet files, in an SQLite file, in PostgreSQL.

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

from siltstone.series import conformance
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
    transfer,
)
from siltstone.series._config import StorageConfig, create_backend
from siltstone.series._container import SeriesContainer
from siltstone.series._dataset import Dataset, datasets
from siltstone.series._import import ImportedSeries, InfluxReport, PointsReport, import_influx, import_points
from siltstone.series._inputs import DatasetTransformFunctionProtocol, SignalTransformFunctionProtocol
from siltstone.series._meteaudata import export_dataset, import_dataset
from siltstone.series._signal import Signal
from siltstone.series._steps import (
    DataProvenance,
    FunctionInfo,
    IndexMetadata,
    Parameters,
    ProcessingConfig,
    ProcessingStep,
    ProcessingType,
)
from siltstone.series._time_series import TimeSeries
from siltstone.series.processing_steps import (
    average_signals,
    linear_interpolation,
    normalize_index_to_numeric_delta,
    predict_from_previous_point,
    replace_ranges,
    resample,
    subset,
)

__all__ = [
    "Backend",
    "DataProvenance",
    "Dataset",
    "DatasetTransformFunctionProtocol",
    "FunctionInfo",
    "ImportedSeries",
    "IndexMetadata",
    "InfluxReport",
    "PandasDiskAdapter",
    "PandasInMemoryAdapter",
    "PandasMemoryAdapter",
    "PandasOnDiskAdapter",
    "Parameters",
    "PointsReport",
    "PolarsAdapter",
    "ProcessingConfig",
    "ProcessingStep",
    "ProcessingType",
    "SQLAdapter",
    "SQLDatabaseAdapter",
    "SQLiteAdapter",
    "SeriesContainer",
    "SeriesInfo",
    "Signal",
    "SignalTransformFunctionProtocol",
    "StorageBackend",
    "StorageConfig",
    "TimeSeries",
    "average_signals",
    "conformance",
    "create_backend",
    "datasets",
    "export_dataset",
    "import_dataset",
    "import_influx",
    "import_points",
    "linear_interpolation",
    "normalize_index_to_numeric_delta",
    "open",
    "predict_from_previous_point",
    "replace_ranges",
    "resample",
    "subset",
    "transfer",
]
