"""A user's metadata as JSON, and back without a loss: what cannot come back equal is refused."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from siltstone.errors import CorruptError, InvalidError, InvalidTypeError

_TAG = "$silt"


def encode(metadata: dict[str, Any], what: str = "metadata") -> str:
    """The JSON text of a dictionary; the dictionary is not changed."""
    if not isinstance(metadata, dict):
        raise InvalidTypeError(f"the metadata: expected a dictionary, got {type(metadata).__name__}")
    try:
        return json.dumps(_plain(metadata, what), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise InvalidError(f"the {what}: expected lists and dictionaries within reason, got endless ones") from None


def decode(text: str | bytes | bytearray) -> dict[str, Any]:
    """The dictionary of a JSON text that :func:`encode` made, or another program."""
    rich: dict[str, Any] = _rich(json.loads(text))
    return rich


def _tagged(kind: str, value: Any) -> dict[str, Any]:
    return {_TAG: kind, "value": value}


def _plain(value: Any, location: str) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidTypeError(f"{location}: expected a text that UTF-8 can hold, got {value!r}") from None
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _tagged("int", str(value))
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind is list:
        return [_plain(item, f"{location}[{i}]") for i, item in enumerate(value)]
    if kind is tuple:
        return _tagged("tuple", [_plain(item, f"{location}[{i}]") for i, item in enumerate(value)])
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {_plain(key, location): _plain(item, f"{location}[{key!r}]") for key, item in value.items()}
        items = [[_plain(key, location), _plain(item, f"{location}[{key!r}]")] for key, item in value.items()]
        return _tagged("dict", items)
    return _special(value, kind, location)


def _special(value: Any, kind: type, location: str) -> Any:
    if kind is complex:
        return _tagged("complex", [_plain(value.real, location), _plain(value.imag, location)])
    if kind is bytes:
        return _tagged("bytes", base64.b64encode(value).decode())
    if _is_of_pandas(value, "Timestamp"):
        return _tagged("Timestamp", [*_instant(value), value.unit])
    if _is_of_pandas(value, "Timedelta"):
        return _tagged("Timedelta", [int(value._value), value.unit])
    if kind is dt.datetime and (value.tzinfo is None or isinstance(value.tzinfo, dt.timezone)):
        return _tagged("datetime", value.isoformat())
    if kind is dt.date:
        return _tagged("date", value.isoformat())
    if kind is dt.time and value.tzinfo is None:
        return _tagged("time", value.isoformat())
    if kind is dt.timedelta:
        return _tagged("timedelta", [value.days, value.seconds, value.microseconds])
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufcmMSU":
        array = np.ascontiguousarray(value) if value.ndim else np.asarray(value)
        packed = base64.b64encode(array.tobytes()).decode()
        named = "ndarray" if isinstance(value, np.ndarray) else "scalar"
        return _tagged(named, [value.dtype.str, list(value.shape), packed])
    raise InvalidTypeError(
        f"{location}: expected None, bool, int, float, complex, str, bytes, list, tuple, dict, a numpy array or "
        f"scalar, a date, time or time span, got {kind.__name__}"
    )


def _instant(value: Any) -> list[Any]:
    zone = None if value.tz is None else zone_name(value.tz)
    return [int(value._value), zone]


def _is_of_pandas(value: Any, name: str) -> bool:
    pandas = sys.modules.get("pandas")  # whoever has not loaded it has none of its values
    return pandas is not None and type(value) is getattr(pandas, name)


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {_TAG, "value"} or value[_TAG] not in _RICH:
        return {key: _rich(item) for key, item in value.items()}
    try:
        return _RICH[value[_TAG]](value["value"])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CorruptError(f"the metadata: a {value[_TAG]!r} is damaged: {error}") from error


def _timestamp(parts: list[Any]) -> Any:
    import pandas as pd

    value, zone, unit = parts
    made = pd.Timestamp(np.datetime64(value, unit))
    return made if zone is None else made.tz_localize("UTC").tz_convert(zone)


def _timedelta(parts: list[Any]) -> Any:
    import pandas as pd

    value, unit = parts
    return pd.Timedelta(np.timedelta64(value, unit))


def _array(parts: list[Any]) -> np.ndarray[Any, Any]:
    text, shape, packed = parts
    dtype = np.dtype(text)
    if dtype.kind not in "biufcmMSU":
        raise ValueError(f"dtype {text!r}")
    array: np.ndarray[Any, Any] = np.frombuffer(base64.b64decode(packed), dtype).reshape(shape).copy()
    return array


_RICH: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "tuple": lambda items: tuple(_rich(items)),
    "dict": lambda items: {_rich(key): _rich(item) for key, item in items},
    "complex": lambda parts: complex(_rich(parts[0]), _rich(parts[1])),
    "bytes": base64.b64decode,
    "Timestamp": _timestamp,
    "Timedelta": _timedelta,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "ndarray": _array,
    "scalar": lambda parts: _array(parts)[()],
}


#: Days on which a zone without a name must have one offset: `tzlocal()` of a place with summer time has two.
_DAYS = [dt.datetime(year, month, 1) for year in (1900, 1945, 1980, 2013, 2026) for month in (1, 7)]


def zone_name(zone: dt.tzinfo) -> str:
    """The name of a time zone: of the zone database, or an offset as ``+05:30``."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    offset = zone.utcoffset(_DAYS[0])
    if offset is None or any(zone.utcoffset(day) != offset for day in _DAYS):
        raise InvalidTypeError(f"a time zone: expected one with a name or a fixed offset, got {zone}")
    if not offset:
        return "UTC"
    seconds = int(offset.total_seconds())
    if seconds % 60:
        raise InvalidTypeError(f"a time zone: expected an offset of whole minutes, got {zone}")
    sign = "-" if seconds < 0 else "+"
    return f"{sign}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"
