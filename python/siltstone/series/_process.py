"""The processing functions on one pandas Series each. Each gives a new Series and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siltstone import _siltstone
from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.series._convert import Parts, from_pandas, to_pandas
from siltstone.series._range import label

if TYPE_CHECKING:
    import pandas as pd


def resample_series(series: pd.Series, frequency: Any, how: str = "mean") -> pd.Series:
    """One value for each hour, day, week, month, ...

    Parameters
    ----------
    series : pandas.Series
        Numbers or booleans at times or time spans, in any order.
    frequency : str or pandas offset
        ``"6h"``, ``"15min"``, ``"30D"``, ``"W-SAT"``, ``"MS"``, ``"QE"``, ...; older names (``"H"``, ``"M"``) too.
    how : str
        ``"mean"``, ``"sum"``, ``"min"``, ``"max"``, ``"first"``, ``"last"``, ``"count"`` or ``"median"``.

    Returns
    -------
    pandas.Series
        As ``series.resample(frequency).mean()``; a bin without a value is missing.

    Raises
    ------
    InvalidIndexError
        For another index; it is an ``IndexError``.
    InvalidTypeError
        For values that are no numbers; it is a ``TypeError``.
    InvalidError
        For an unknown frequency, or one that makes too many bins; it is a ``ValueError``.
    """
    return to_pandas(_siltstone.series_resample(from_pandas(series), frequency_text(frequency), how))


def frequency_text(frequency: Any) -> str:
    """A frequency as its text, be it one, or a pandas offset or length of time."""
    if isinstance(frequency, str):
        return frequency
    from pandas.tseries.frequencies import to_offset

    try:
        offset = to_offset(frequency)
    except (TypeError, ValueError):
        offset = None
    if offset is None:
        raise InvalidTypeError(f"frequency: expected a text as '6h', or a pandas offset, got {frequency!r}")
    return str(offset.freqstr)


def interpolate_series(series: pd.Series, by: str = "position") -> pd.Series:
    """Missing values on the straight line between their neighbours.

    Missing ones before the first value stay; those behind the last one get its value.

    Parameters
    ----------
    series : pandas.Series
        Numbers at times or time spans.
    by : str
        ``"position"``: all points have the same distance, as in meteaudata; ``"time"``: the index says it.

    Raises
    ------
    InvalidIndexError
        For another index; it is an ``IndexError``.
    """
    return to_pandas(_siltstone.series_interpolate(from_pandas(series), by))


def subset_series(series: pd.Series, start: Any = None, end: Any = None, rank_based: bool = False) -> pd.Series:
    """The points from one label to another, both included; or from one rank to another, the second excluded.

    Parameters
    ----------
    series : pandas.Series
        Values at times or time spans.
    start, end : str, datetime, timedelta, int or None
        A text names all that begins with it: ``"2010-03"`` is the month. Negative ranks count from the end.
    rank_based : bool
        Whether these are ranks.

    Raises
    ------
    InvalidIndexError
        For another index; it is an ``IndexError``.
    """
    parts = from_pandas(series)
    if rank_based:
        ranks = [_rank("start_position", start), _rank("end_position", end)]
        return to_pandas(_siltstone.series_subset_rank(parts, *ranks))
    if parts[3][0].partition(":")[0] not in ("timestamp", "duration"):
        # Refused by the library for what it is, whatever the labels are.
        return to_pandas(_siltstone.series_subset(parts, None, None))
    start, end = _ends(parts, start, end)
    return to_pandas(_siltstone.series_subset(parts, start, end))


def replace_ranges_series(
    series: pd.Series, pairs: Iterable[Sequence[Any]], replace_with: Any = float("nan")
) -> pd.Series:
    """Another value in place of those in some ranges, both ends included, for an index of any kind.

    Parameters
    ----------
    series : pandas.Series
        Any series.
    pairs : iterable of pairs
        Start and end of each range, as :func:`subset_series` reads labels.
    replace_with : number, bool, str or None
        ``None`` or ``pandas.NA`` make a value missing.

    Raises
    ------
    InvalidError
        For a pair that is none, or a label that cannot be compared with the index; it is a ``ValueError``.
    InvalidTypeError
        For a value that such a series cannot hold; it is a ``TypeError``.
    """
    import pandas as pd

    parts, ranges = from_pandas(series), []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise InvalidError(f"index_pairs: expected pairs of start and end, got {pair!r}")
        ranges.append(_ends(parts, *pair))
    if replace_with is pd.NA or replace_with is pd.NaT:
        replace_with = None
    if not isinstance(replace_with, (bool, int, float, str, type(None))):
        number = getattr(replace_with, "item", None)
        if number is None:
            raise InvalidTypeError(f"replace_with: expected a number, a boolean, a text or None, got {replace_with!r}")
        replace_with = number()
    is_wide = isinstance(replace_with, int) and not -(2**63) <= replace_with < 2**63
    if is_wide or isinstance(replace_with, np.longdouble):
        if float(replace_with) != replace_with and replace_with == replace_with:
            raise InvalidError(f"replace_with: expected a number that a float has exactly, got {replace_with!r}")
        replace_with = float(replace_with)
    return to_pandas(_siltstone.series_replace_ranges(parts, ranges, replace_with))


def average_series(series: Iterable[pd.Series]) -> pd.Series:
    """The mean of several series at each time that one of them has; what is missing is left out.

    Raises
    ------
    InvalidError
        For no series, a time that one series has twice, or times with a zone beside times without; a ``ValueError``.
    InvalidIndexError
        For an index of something else than times or time spans; it is an ``IndexError``.
    """
    return to_pandas(_siltstone.series_average([from_pandas(one) for one in series]))


def normalize_index_series(series: pd.Series, unit: str = "s", reference_time: Any = None) -> pd.Series:
    """The time since a reference, as floats, in place of the index.

    Parameters
    ----------
    series : pandas.Series
        Values at times; an index of numbers becomes one of floats.
    unit : str
        ``"D"``, ``"h"``, ``"min"``, ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or an English name.
    reference_time : str, datetime or None
        The first point, if it is None. Without a zone it is local time of the index.

    Raises
    ------
    InvalidTypeError
        For an index of time spans or texts; it is a ``TypeError``.
    InvalidError
        For an unknown unit, or a reference that is no time; it is a ``ValueError``.
    """
    parts = from_pandas(series)
    if reference_time is not None and not isinstance(reference_time, str):
        reference_time = _iso(reference_time)
    return to_pandas(_siltstone.series_normalize_index(parts, unit, reference_time))


def predict_series(series: pd.Series) -> pd.Series:
    """A copy, as the prediction that nothing changes.

    Raises
    ------
    InvalidIndexError
        For an index of something else than times or time spans; it is an ``IndexError``.
    """
    return to_pandas(_siltstone.series_predict(from_pandas(series)))


def _rank(what: str, rank: Any) -> int | None:
    if rank is None:
        return None
    if isinstance(rank, bool) or not hasattr(rank, "__index__"):
        raise InvalidTypeError(f"{what}: expected an integer or None, got {rank!r}")
    return max(min(int(rank.__index__()), 2**62), -(2**62))


def _ends(parts: Parts, start: Any, end: Any) -> tuple[Any, Any]:
    return label("start", parts[3][0], start, up=True), label("end", parts[3][0], end, up=False)


def _iso(time: Any) -> str:
    import pandas as pd

    try:
        stamp: Any = pd.Timestamp(time)
    except (ValueError, TypeError) as error:
        raise InvalidError(f"reference_time: expected a time, got {time!r} ({error})") from error
    if stamp is pd.NaT:
        raise InvalidError(f"reference_time: expected a time, got {time!r}")
    if stamp.tz is not None:
        # An offset of old local time may have seconds.
        stamp = stamp.tz_convert("UTC")
    return str(stamp.isoformat())
