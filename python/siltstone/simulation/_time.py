"""Times as people say them."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import numpy as np

from siltstone.errors import InvalidTypeError

#: A time in a run: a timestamp, a text (an integer or an ISO 8601 time), or a calendar time. Calendar
#: times are UTC unless they have a zone, and need a timeline.
Time = int | np.integer[Any] | str | date | datetime | np.datetime64


def timestamp_of(time: Any) -> Any:
    """A time as the library takes it: an integer, a text, or seconds since 1970 as a float."""
    if isinstance(time, np.datetime64):
        return float((time - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    if isinstance(time, date):
        if not isinstance(time, datetime):
            time = datetime(time.year, time.month, time.day)
        return (time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(time, float):
        expected = "expected an integer, a text, a date or a datetime"
        raise InvalidTypeError(f"timestamp: {expected}, got {time!r}")
    return time
