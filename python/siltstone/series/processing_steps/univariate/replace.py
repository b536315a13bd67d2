"""Other values in place of those in some ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from siltstone.series._process import replace_ranges_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def replace_ranges(
    input_series: list[pd.Series],
    index_pairs: Sequence[Sequence[Any]],
    reason: str,
    replace_with: Any = float("nan"),
) -> Made:
    """Another value in place of those in some ranges, both ends included.

    Parameters
    ----------
    input_series : list of pandas.Series
        Any series.
    index_pairs : list of pairs
        Start and end of each range.
    reason : str
        Why.
    replace_with : number, bool, str or None
        ``None`` makes a value missing.

    Raises
    ------
    ValueError
        For a pair that is none.
    """
    return each(
        input_series,
        lambda series: replace_ranges_series(series, index_pairs, replace_with),
        ProcessingType.FILTERING,
        "REPLACED-RANGES",
        "replace_ranges",
        f"Values replaced: {reason}",
        {"index_pairs": index_pairs, "reason": reason, "replace_with": replace_with},
    )
