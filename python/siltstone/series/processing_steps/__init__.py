"""Functions for :meth:`siltstone.series.Signal.process` and :meth:`siltstone.series.Dataset.process`."""

from siltstone.series.processing_steps.multivariate.average import average_signals
from siltstone.series.processing_steps.univariate.interpolate import linear_interpolation
from siltstone.series.processing_steps.univariate.normalize_index import (
    normalize_index_to_numeric_delta,
)
from siltstone.series.processing_steps.univariate.prediction import predict_from_previous_point
from siltstone.series.processing_steps.univariate.replace import replace_ranges
from siltstone.series.processing_steps.univariate.resample import resample
from siltstone.series.processing_steps.univariate.subset import subset

__all__ = [
    "average_signals",
    "linear_interpolation",
    "normalize_index_to_numeric_delta",
    "predict_from_previous_point",
    "replace_ranges",
    "resample",
    "subset",
]
