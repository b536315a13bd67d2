"""One value for each hour, day, week, month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siltstone.series._process import frequency_text, resample_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def resample(input_series: list[pd.Series], frequency: Any, how: str = "mean") -> Made:
    """One value for each piece of time.

    Parameters
    ----------
    input_series : list of pandas.Series
        Numbers at times or time spans.
    frequency : str or pandas offset
        ``"6h"``, ``"D"``, ``"W"``, ``"MS"``, ...
    how : str
        ``"mean"``, ``"sum"``, ``"min"``, ``"max"``, ``"first"``, ``"last"``, ``"count"`` or ``"median"``.

    Raises
    ------
    IndexError
        For another index.
    """
    frequency = frequency_text(frequency)
    given = {"frequency": frequency} if how == "mean" else {"frequency": frequency, "how": how}
    return each(
        input_series,
        lambda series: resample_series(series, frequency, how),
        ProcessingType.RESAMPLING,
        "RESAMPLED",
        "resample",
        f"The {how} of each {frequency}",
        given,
    )
