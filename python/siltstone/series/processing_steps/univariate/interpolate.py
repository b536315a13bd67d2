"""Missing values on the straight line between their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siltstone.series._process import interpolate_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def linear_interpolation(input_series: list[pd.Series], by: str = "position") -> Made:
    """Fill what is missing.

    Parameters
    ----------
    input_series : list of pandas.Series
        Numbers at times or time spans.
    by : {"position", "time"}
        Whether all points have the same distance, as in meteaudata, or the index says it.

    Raises
    ------
    IndexError
        For another index.
    """
    return each(
        input_series,
        lambda series: interpolate_series(series, by),
        ProcessingType.GAP_FILLING,
        "LIN-INT",
        "linear interpolation",
        "Missing values on the line between their neighbours",
        None if by == "position" else {"by": by},
    )
