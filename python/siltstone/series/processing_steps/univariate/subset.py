"""A part of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siltstone.series._process import subset_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def subset(
    input_series: list[pd.Series],
    start_position: Any = None,
    end_position: Any = None,
    rank_based: bool = False,
) -> Made:
    """The points from one label to another, both included; or from one rank to another, the second excluded.

    Parameters
    ----------
    input_series : list of pandas.Series
        Values at times or time spans.
    start_position, end_position : str, datetime, timedelta, int or None
        A text names all that begins with it: ``"2010-03"`` is the month.
    rank_based : bool
        Whether these are ranks.

    Raises
    ------
    IndexError
        For another index.
    """
    return each(
        input_series,
        lambda series: subset_series(series, start_position, end_position, rank_based),
        ProcessingType.RESAMPLING,
        "SLICE",
        "subset",
        f"The points from {start_position} to {end_position}",
        {"start_position": start_position, "end_position": end_position, "rank_based": rank_based},
    )
