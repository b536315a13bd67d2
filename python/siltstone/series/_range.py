"""The ends of a range, as values of an index."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import numpy as np

from siltstone import _siltstone
from siltstone.errors import InvalidError, InvalidTypeError

_CLOSED = {"both": (True, True), "left": (True, False), "right": (False, True), "neither": (False, False)}
_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

_MOST = 2**63

#: Whether the end belongs to the range, and the value.
End = tuple[bool, Any] | None


def bounds(info: tuple[Any, ...], start: Any, end: Any, closed: str) -> tuple[End, End]:
    """Both ends for a series of which this is known."""
    if closed not in _CLOSED:
        raise InvalidError(f"closed: expected one of {', '.join(_CLOSED)}, got {closed!r}")
    low, high = _CLOSED[closed]
    return _end("start", info[1], start, low, up=True), _end("end", info[1], end, high, up=False)


def label(what: str, index_type: str, value: Any, up: bool) -> Any:
    """One end of a range that includes it, for an index of this type.

    A text for a time or a time span names all that begins with it, and stays what it is.
    """
    value = _day_as_text(value)
    if isinstance(value, str):
        return str(value)
    end = _end(what, index_type, value, True, up)
    return None if end is None else end[1]


def _end(what: str, index_type: str, value: Any, closed: bool, up: bool) -> End:
    if value is None:
        return None
    head, _, rest = index_type.partition(":")
    unit, _, zone = rest.partition(":")
    if head not in ("timestamp", "duration"):
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            if "int" in index_type and not isinstance(value, str) and value == value:
                return whole(value, closed, up)
            return closed, value
        raise InvalidTypeError(f"{what}: expected a number or a text, got {value!r}")
    value = _day_as_text(value)
    if isinstance(value, str):
        begin, over = _named(what, index_type, value)
        # An end that does not belong to the range leaves out all that it names.
        return up, begin if up == closed else over
    exact = _instant_ns(what, value, zone) if head == "timestamp" else _span_ns(what, value)
    size = _NS[unit]
    if exact % size == 0:
        return whole(exact // size, closed, up)
    # Between two values of the index: the nearest one inside of the range.
    return whole(-(-exact // size) if up else exact // size, True, up)


def _day_as_text(value: Any) -> Any:
    """A date, or a datetime64 of a day, a month or a year, as the text that names all of it; else the value."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in ("D", "M", "Y"):
        return value if np.isnat(value) else str(value)
    return value


def _named(what: str, index_type: str, text: str) -> tuple[int, int]:
    """Where what a text names begins, and where it is over: ``2024-01-31`` is the whole day."""
    try:
        return _siltstone.series_label(index_type, text)
    except InvalidError as error:
        raise InvalidError(f"{what}: {error}") from error


def whole(value: float, closed: bool, up: bool) -> End:
    """An end as an integer of 64 bits that bounds the same integers."""
    if not -_MOST <= value < _MOST:
        # Beyond every value: all of them are within, or none, which no open end can say.
        if (value < 0) == up:
            return None
        return (False, _MOST - 1) if up else (False, -_MOST)
    if value != int(value):
        return True, math.ceil(value) if up else math.floor(value)
    return closed, int(value)


def _instant_ns(what: str, value: Any, zone: str) -> int:
    import pandas as pd

    try:
        stamp: Any = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise InvalidError(f"{what}: expected a time, got {value!r} ({error})") from error
    if stamp is pd.NaT:
        raise InvalidError(f"{what}: expected a time, got {value!r}")
    if zone and stamp.tz is None:
        try:
            stamp = stamp.tz_localize(zone)
        except ValueError as error:
            hint = f"a time that clocks of {zone} show once, or one with an offset"
            raise InvalidError(f"{what}: expected {hint}, got {value!r}") from error
    elif not zone and stamp.tz is not None:
        raise InvalidError(f"{what}: expected a time without a zone, as the index, got {value!r}")
    return int(stamp._value) * _NS[stamp.unit]


def _span_ns(what: str, value: Any) -> int:
    import pandas as pd

    try:
        span: Any = pd.Timedelta(value)
    except (ValueError, TypeError) as error:
        raise InvalidError(f"{what}: expected a time span, got {value!r} ({error})") from error
    if span is pd.NaT:
        raise InvalidError(f"{what}: expected a time span, got {value!r}")
    return int(span._value) * _NS[span.unit]
