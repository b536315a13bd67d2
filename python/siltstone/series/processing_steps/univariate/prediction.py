"""Predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siltstone.series._process import predict_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def predict_from_previous_point(input_series: list[pd.Series]) -> Made:
    """Each point as the prediction of the next one: the copy, with a step distance of 1.

    Raises
    ------
    IndexError
        For an index of something else than times or time spans.
    """
    return each(
        input_series,
        predict_series,
        ProcessingType.PREDICTION,
        "PREV-PRED",
        "predict from previous point",
        "Each point is the prediction of the next one",
        step_distance=1,
    )
