"""Numbers in place of times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siltstone.series._process import normalize_index_series
from siltstone.series._steps import ProcessingType
from siltstone.series.processing_steps._step import Made, each

if TYPE_CHECKING:
    import pandas as pd


def normalize_index_to_numeric_delta(
    input_series: list[pd.Series], unit: str = "s", reference_time: Any = None
) -> Made:
    """The time since a reference, as floats, in place of the index.

    Parameters
    ----------
    input_series : list of pandas.Series
        Values at times, or at numbers, which become floats.
    unit : str
        ``"D"``, ``"h"``, ``"min"``, ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or an English name.
    reference_time : str, datetime or None
        The first point, if it is None.

    Raises
    ------
    TypeError
        For an index of time spans or texts.
    ValueError
        For an unknown unit.
    """
    return each(
        input_series,
        lambda series: normalize_index_series(series, unit, reference_time),
        ProcessingType.TRANSFORMATION,
        "NORM",
        "normalize index",
        f"The index as {unit} since a reference",
        lambda series: {
            "unit": unit,
            "original_index_type": type(series.index).__name__,
            "reference_time": _reference(series, reference_time),
        },
    )


def _reference(series: pd.Series, reference: Any) -> str | None:
    if reference is None and len(series) and hasattr(series.index, "tz"):
        reference = series.index[0]
    return None if reference is None else str(reference)
