"""Times as people say them, as ns since 1970-01-01 UTC."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siltstone import _siltstone
from siltstone.errors import InvalidError, InvalidTypeError

#: A time: ns since 1970 as an integer; a datetime with a zone; a numpy.datetime64 (UTC); a date, its
#: first instant in UTC, and at the end of a range its last one, also as a numpy.datetime64 of the unit D; or any of
#: these as an ISO 8601 text.
Time = int | np.integer[Any] | datetime | date | np.datetime64 | str
#: A length of time: ns as an integer, a timedelta, or a numpy.timedelta64.
Length = int | np.integer[Any] | timedelta | np.timedelta64

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
DAY = 86_400 * 10**9
NS = np.dtype("M8[ns]")
#: A time with a part of a second, of which a datetime would cut the nanoseconds off.
FRACTION = re.compile(r"(.*\d\d:?\d\d:?\d\d)[.,](\d+)((?:Z|[+-].*)?)", re.ASCII)
#: What 64 bits hold. numpy calls the first one NaT.
FIRST, LAST = -(2**63), 2**63 - 1


def within(ns: int, time: Any, what: str = "time") -> int:
    """The ns, if they are a time that 64 bits hold."""
    if not FIRST <= ns <= LAST:
        raise InvalidError(f"{what}: expected a time from 1677 to 2262, as ns are, got {time!r}")
    return ns


def nanoseconds(time: Any) -> int:
    """A time as ns since 1970 UTC. A datetime without a zone is refused: it may be of any clock."""
    if isinstance(time, np.datetime64):
        if time.dtype == NS and (ns := int(time.view(np.int64))) != FIRST:
            return ns
        return int(nanoseconds_array(np.asarray(time).reshape(1))[0])
    if isinstance(time, datetime):
        if time.tzinfo is None:
            hint = "a datetime with a zone, as datetime.now(timezone.utc)"
            raise InvalidError(f"time: expected {hint}, got {time!r}")
        if hasattr(time, "nanosecond"):  # pandas
            return pandas_nanoseconds(time)
        return within((time - EPOCH) // MICROSECOND * 1000, time)
    if isinstance(time, date):
        day = datetime(time.year, time.month, time.day, tzinfo=timezone.utc)
        return within((day - EPOCH) // MICROSECOND * 1000, time)
    if isinstance(time, (int, np.integer)) and not isinstance(time, bool):
        return within(int(time), time)
    if isinstance(time, str):
        known = FRACTION.fullmatch(time)
        if known is None:
            return nanoseconds(from_text(time))
        whole, fraction, rest = known.groups()
        if len(fraction) > 9:
            raise InvalidError(
                f"time: expected an ISO 8601 time of at most nine digits behind the second, got {time!r}"
            )
        return within(nanoseconds(from_text(whole + rest)) + int(fraction.ljust(9, "0")), time)
    expected = "ns since 1970, a datetime with a zone, a date or a numpy.datetime64"
    raise InvalidTypeError(f"time: expected {expected}, got {time!r} ({type(time).__name__})")


def pandas_nanoseconds(time: Any) -> int:
    """A pandas Timestamp as ns; it has no more than these, and may be too far away."""
    try:
        return int(time.as_unit("ns").value)
    except ValueError as error:
        raise InvalidError(f"time: {error}") from error


def from_text(text: str) -> date:
    """A date, or a time with a zone, out of an ISO 8601 text."""
    try:
        if len(text) == len("2026-01-19"):
            return date.fromisoformat(text)
        # Python 3.10 knows no Z.
        return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError as error:
        raise InvalidError(f"time: expected an ISO 8601 time, got {text!r}") from error


def last_nanosecond(time: Any) -> int:
    """A time at the end of a range as ns; of a date the last ns of the day."""
    ns = _siltstone.ticks_to_ns(time)
    if isinstance(time, str) and len(time) == len("2026-01-19"):
        time = date.fromisoformat(time)
    if isinstance(time, np.datetime64):
        # Of days, months or years: all of it, as of a date.
        is_whole = np.datetime_data(time.dtype)[0] in ("D", "M", "Y")
        days = int(((time + 1).astype("M8[D]") - time.astype("M8[D]")).astype(int)) if is_whole else 0
        return min(ns + days * DAY - 1, LAST) if is_whole else ns
    is_day = isinstance(time, date) and not isinstance(time, datetime)
    return min(ns + DAY - 1, LAST) if is_day else ns


def nanoseconds_array(times: Any) -> NDArray[np.int64]:
    """Times as ns since 1970 UTC: integers, datetime64 of any unit, or single times in a list."""
    kind = getattr(times, "dtype", getattr(times, "type", None))
    zone = getattr(kind, "tz", None) or getattr(kind, "time_zone", None)  # pandas and PyArrow; Polars
    if zone is not None and type(times).__module__.startswith("pandas"):
        if hasattr(times, "dt"):  # a series
            times = times.dt.tz_convert("UTC").dt.tz_localize(None)
        else:
            times = times.tz_convert("UTC").tz_localize(None)
    array = np.asarray(times)
    if zone is None and array.dtype.kind == "M" and type(times).__module__.partition(".")[0] != "numpy":
        hint = 'times with a zone, as of tz_localize("UTC"), or numpy\'s datetime64, which is UTC'
        raise InvalidError(f"time: expected {hint}, got times without a zone")
    if array.ndim != 1:
        raise InvalidError(f"time: expected one dimension, got {array.ndim}")
    if array.dtype.kind == "M":
        ns = array.astype("M8[ns]").astype(np.int64)
        if np.isnat(array).any():
            raise InvalidError("time: expected a time for each, got NaT")
        # numpy lets what is too far away wrap around.
        if not np.array_equal(ns.view("M8[ns]").astype(array.dtype), array):
            raise InvalidError("time: expected times from 1677 to 2262, as ns are, got others")
        return np.ascontiguousarray(ns)
    if array.dtype.kind in "iu":
        if array.dtype == np.uint64 and array.size and int(array.max()) > LAST:
            within(int(array.max()), int(array.max()))
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.dtype.kind in "OU":
        return np.array([nanoseconds(time) for time in array.tolist()], dtype=np.int64)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    expected = "ns as integers, datetime64, or datetimes with a zone"
    raise InvalidTypeError(f"time: expected {expected}, got dtype {array.dtype}")


#: Lengths by their letters; M would be a month, and is none.
UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "min": 60 * 10**9, "m": 60 * 10**9}
UNITS |= {"h": 3_600 * 10**9, "d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9}


def length(what: str, value: Any) -> int:
    """A length of time as ns; texts as ``"1min"``, ``"4h"``, ``"1d"`` too."""
    if isinstance(value, np.timedelta64):
        ns = value.astype("m8[ns]")
        if np.isnat(value) or ns.astype(value.dtype) != value:
            raise InvalidError(f"{what}: expected a length that ns can hold, got {value!r}")
        return int(ns.astype(np.int64))
    if isinstance(value, timedelta):
        return within(value // MICROSECOND * 1000, value, what)
    if isinstance(value, str):
        number = value.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        unit = UNITS.get(value[len(number) :].strip())
        if unit and number.strip().isdigit():
            return within(int(number) * unit, value, what)
        raise InvalidError(f"{what}: expected a length as 30s, 1min, 4h or 1d, got {value!r}")
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return within(int(value), value, what)
    expected = "ns as an integer, a timedelta, or a text as 1min"
    raise InvalidTypeError(f"{what}: expected {expected}, got {value!r}")
