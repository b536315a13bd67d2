"""A pandas Series as the columns of the library, and back, without a loss."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from siltstone.errors import CorruptError, InvalidError, InvalidTypeError
from siltstone.series import _arrow_dtypes
from siltstone.series._metadata import decode, encode, zone_name

if TYPE_CHECKING:
    import pandas as pd

#: What the dtype of values that came from Polars begins with, where their type does not tell it.
POLARS = "polars:"
#: A type, its data, and for each row whether it is there (all, if None).
Column = tuple[str, Any, "np.ndarray[Any, Any] | None"]
#: Name, dtype, what is known of the index as JSON, index, values.
Parts = tuple["str | None", "str | None", str, Column, Column]


def from_pandas(series: pd.Series) -> Parts:
    """The parts of a series; it is not changed."""
    import pandas as pd

    if not isinstance(series, pd.Series):
        raise InvalidTypeError(f"the data: expected a pandas Series, got {type(series).__name__}")
    known, index = _from_index(series.index)
    dtype, values = _from_values(series)
    attributes: Any = series.attrs
    if attributes:
        known["attributes"] = json.loads(encode(attributes, "attrs"))
    return _name("the name of a series", series.name), dtype, json.dumps(known), index, values


def to_pandas(parts: Parts) -> pd.Series:
    """The series of these parts."""
    import pandas as pd

    name, dtype, text, column, values = parts
    known = json.loads(text)
    attributes = known.pop("attributes", None)
    index = _to_index(known, column)
    made = _to_values(dtype, values)
    # Of Python objects pandas 3 would make texts.
    kind = object if getattr(made, "dtype", None) == "object" else None
    series = pd.Series(made, index=index, name=name, dtype=kind, copy=False)
    if attributes:
        series.attrs = dict[Any, Any](decode(json.dumps(attributes)))
    return series


def _name(what: str, name: Any) -> str | None:
    if name is None or isinstance(name, str):
        return name
    raise InvalidTypeError(f"{what}: expected a text or None, got {name!r}")


def _bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.reshape(-1).view(np.uint8)


#: The dtypes of pandas that know missing values; an index of them has none.
_NULLABLE = {f"{u}Int{bits}" for u in ("", "U") for bits in (8, 16, 32, 64)} | {"Float32", "Float64", "boolean"}


def _text_dtype(dtype: Any) -> str:
    """The name of a dtype of texts, with its storage where pandas' own name leaves it out."""
    storage = getattr(dtype, "storage", None)
    return str(dtype) if storage is None else f"{dtype}[{storage}]"


def _dtype_of_text(name: str | None) -> Any:
    """The dtype of such a name, one of an older name, or one of another pandas."""
    import pandas as pd

    head, _, storage = (name or "").partition("[")
    if head not in ("string", "str"):
        return name or None
    if not storage:
        return head
    try:
        if head == "string":
            return pd.StringDtype(storage[:-1])
        return pd.StringDtype(storage[:-1], na_value=np.nan)
    except (ImportError, TypeError, ValueError):
        return "string"  # without pyarrow, or from a later pandas: the same texts


# The index


def _from_index(index: pd.Index) -> tuple[dict[str, Any], Column]:
    import pandas as pd

    known: dict[str, Any] = {
        "type": type(index).__name__,
        "name": _name("the name of the index", index.name),
        "dtype": str(index.dtype),
    }
    if isinstance(index, (pd.MultiIndex, pd.IntervalIndex)):
        raise InvalidTypeError(
            f"the index: expected one of times, time spans, numbers or texts, got {type(index).__name__}"
        )
    if isinstance(index, pd.CategoricalIndex):
        return known, _from_categories(index, known)
    if isinstance(index, pd.RangeIndex):
        known.update(start=index.start, end=index.stop, step=index.step)
        return known, ("int64", _bytes(np.arange(index.start, index.stop, index.step, dtype=np.int64)), None)
    if index.hasnans:
        raise InvalidError("the index: expected a value for each point, got missing ones")
    if isinstance(index, pd.PeriodIndex):
        known["frequency"] = index.freqstr
        return known, ("int64", _bytes(_numbers(index)), None)
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        known["frequency"] = index.freqstr
        kind = "timestamp" if isinstance(index, pd.DatetimeIndex) else "duration"
        text = f"{kind}:{index.unit}"
        if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
            known["time_zone"] = zone_name(index.tz)
            text += ":" + known["time_zone"]
        return known, (text, _bytes(_numbers(index)), None)
    plain = getattr(index.dtype, "numpy_dtype", index.dtype)
    if isinstance(plain, np.dtype) and plain.kind in "iuf" and not isinstance(index.dtype, pd.ArrowDtype):
        if plain == np.uint64:
            raise InvalidTypeError(f"the index: expected integers of 64 bits with sign, got {index.dtype}")
        return known, (plain.name, _bytes(index.to_numpy(plain)), None)
    if isinstance(index.dtype, pd.ArrowDtype):
        # Its type is in the dtype of the index.
        known["dtype"], text, data, _ = _arrow_dtypes.from_arrow("the index", index.array)
        if text in ("binary", "bool", "float16"):
            raise InvalidTypeError(f"the index: expected times, time spans, numbers or texts, got {index.dtype}")
        return known, (text, data if text == "text" else _bytes(data), None)
    if index.dtype == bool or str(index.dtype) == "boolean":
        return known, ("uint8", _bytes(index.to_numpy(bool).astype("u1")), None)
    texts = index.tolist()
    if all(isinstance(text, str) for text in texts):
        known["dtype"] = _text_dtype(index.dtype)
        return known, ("text", [str(text) for text in texts], None)
    kinds = ", ".join(sorted({type(text).__name__ for text in texts}))
    raise InvalidTypeError(
        f"the index: expected one of times, time spans, numbers or texts, got {index.dtype} of {kinds}"
    )


def _numbers(index: Any) -> np.ndarray[Any, Any]:
    """The integers of an index of times, time spans or periods, which the types of pandas do not know."""
    numbers: np.ndarray[Any, Any] = index.asi8
    return numbers


def row_numbers(length: int) -> tuple[dict[str, Any], Column]:
    """The index of a series that has none."""
    known = {"type": "RangeIndex", "name": None, "dtype": "int64", "start": 0, "end": length, "step": 1}
    return known, ("int64", _bytes(np.arange(length, dtype="i8")), None)


def _from_categories(index: Any, known: dict[str, Any]) -> Column:
    known["categories"] = _categories("the index", index.categories)
    known["ordered"] = bool(index.ordered)
    known["closed"] = str(index.categories.dtype)
    if (index.codes < 0).any():
        raise InvalidError("the index: expected a value for each point, got missing ones")
    return ("int32", _bytes(index.codes.astype("i4")), None)


def _categories(what: str, categories: pd.Index) -> list[Any]:
    listed = categories.tolist()
    plain = all(type(item) in (str, int, float, bool) for item in listed)
    if not plain or any(item != item or item in (np.inf, -np.inf) for item in listed):
        raise InvalidTypeError(f"{what}: expected categories that are texts or finite numbers")
    return listed


def _to_index(known: dict[str, Any], column: Column) -> Any:
    import pandas as pd

    text, data, _ = column
    name, kind, frequency = known.get("name"), known.get("type"), known.get("frequency")
    dtype = known.get("dtype") or ""
    head, _, rest = text.partition(":")
    if dtype.startswith(_arrow_dtypes.PREFIX):
        if head != "text":
            data = data.view("i8" if rest else head)
        return pd.Index(_arrow_dtypes.to_arrow(dtype, text, data, None), name=name)
    if head == "text":
        # An empty list would say nothing of its type.
        return pd.Index(np.array(data, dtype=object), dtype=_dtype_of_text(dtype), name=name)
    if head == "timestamp":
        unit, _, zone = rest.partition(":")
        index = pd.DatetimeIndex(data.view(f"M8[{unit}]"), name=name)
        if zone:
            index = index.tz_localize("UTC").tz_convert(zone)
        return _with_frequency(index, frequency)
    if head == "duration":
        return _with_frequency(pd.TimedeltaIndex(data.view(f"m8[{rest}]"), name=name), frequency)
    numbers = data.view(head)
    if kind == "RangeIndex" and None not in (known["start"], known["end"], known["step"]):
        rows = pd.RangeIndex(known["start"], known["end"], known["step"], name=name)
        if len(rows) == len(numbers) and (not len(rows) or rows[0] == numbers[0]):
            return rows
    if kind == "PeriodIndex" and dtype.startswith("period["):
        # The frequency is a hint, which appended points take away; the dtype is what the numbers mean.
        periods: Any = pd.PeriodIndex  # from_ordinals is not among the types of pandas
        return periods.from_ordinals(numbers, freq=dtype[len("period[") : -1], name=name)
    if kind == "CategoricalIndex" and known.get("categories") is not None:
        categories = pd.Index(known["categories"], dtype=known.get("closed") or None)
        codes, ordered = numbers.astype("i8"), bool(known.get("ordered"))
        made = pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)
        return pd.CategoricalIndex(made, name=name)
    if dtype in ("bool", "boolean"):
        numbers = numbers.astype(bool)
    return pd.Index(numbers, dtype=dtype if dtype in _NULLABLE else None, name=name)


def _with_frequency(index: Any, frequency: str | None) -> Any:
    """The index as it is; its frequency is a hint, taken only where the values agree with it."""
    if frequency:
        with suppress(ValueError):  # another version of pandas wrote it, or points were appended
            index.freq = frequency
    return index


# The values


def _from_values(series: pd.Series) -> tuple[str | None, Column]:
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy()
        known = {
            "categories": _categories("the values", dtype.categories),
            "dtype": str(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
        return "category:" + json.dumps(known), ("int32", _bytes(codes.astype("i4")), codes >= 0)
    if isinstance(dtype, pd.DatetimeTZDtype):
        zone = zone_name(dtype.tz)
        plain = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return None, _times(f"timestamp:{dtype.unit}:{zone}", plain)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return _from_numpy(series.to_numpy())
    if isinstance(dtype, pd.ArrowDtype):
        kept, text, data, valid = _arrow_dtypes.from_arrow("the values", series.array)
        return kept, (text, data if text in ("text", "binary") else _bytes(data), valid)
    if isinstance(dtype, pd.StringDtype) or dtype == "object":
        return _text_dtype(dtype), _texts(series)
    masked = getattr(dtype, "numpy_dtype", None)
    if isinstance(masked, np.dtype) and masked.kind in "biuf":
        missing = series.isna().to_numpy()
        values = series.to_numpy(masked, na_value=masked.type(0))
        return str(dtype), (masked.name, _bytes(values), ~missing if missing.any() else None)
    raise InvalidTypeError(
        f"the values: expected numbers, booleans, texts, bytes, times, time spans or categories, got {dtype}"
    )


def _from_numpy(values: np.ndarray[Any, Any]) -> tuple[str | None, Column]:
    dtype = values.dtype
    if dtype.kind in "mM":
        unit = np.datetime_data(dtype)[0]
        return None, _times(f"{'timestamp' if dtype.kind == 'M' else 'duration'}:{unit}", values)
    if dtype.kind == "c":
        return dtype.name, (f"fixed:{dtype.itemsize}", _bytes(values), None)
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        return None, (dtype.name, _bytes(values), None)
    raise InvalidTypeError(f"the values: expected numbers of up to 64 bits, got {dtype}")


def _times(text: str, values: np.ndarray[Any, Any]) -> Column:
    missing = np.isnat(values)
    return text, _bytes(values.view("i8")), ~missing if missing.any() else None


def _texts(series: pd.Series) -> Column:
    missing = series.isna().to_numpy()
    items = [None if gone else item for item, gone in zip(series.tolist(), missing, strict=True)]
    there = [item for item in items if item is not None]
    if all(isinstance(item, str) for item in there):
        return "text", items, None
    if all(type(item) is bytes for item in there):
        return "binary", items, None
    kinds = sorted({type(item).__name__ for item in there})
    raise InvalidTypeError(
        f"the values: expected Python objects that are all texts or all bytes, got {', '.join(kinds)}"
    )


def _to_values(dtype: str | None, column: Column) -> Any:
    import pandas as pd

    text, data, valid = column
    head, _, rest = text.partition(":")
    if dtype is not None and dtype.startswith(POLARS):
        dtype = None  # pandas has no such type: it gets what the values are kept as
    if dtype is not None and dtype.startswith(_arrow_dtypes.PREFIX):
        if head not in ("text", "binary"):
            data = data.view("i8" if rest else head)
        return _arrow_dtypes.to_arrow(dtype, text, data, valid)
    if head in ("text", "binary"):
        return pd.array(data, dtype=_dtype_of_text(dtype)) if dtype not in (None, "object") else _objects(data)
    if head == "fixed":
        if dtype not in ("complex64", "complex128") or int(rest) != np.dtype(dtype).itemsize:
            raise CorruptError(f"the values: expected complex numbers, got {dtype} of {rest} bytes")
        return data.view(dtype)
    if head in ("timestamp", "duration"):
        return _to_times(head, rest, data, valid)
    values = data.view(head)
    if dtype is not None and dtype.startswith("category:"):
        known = json.loads(dtype.partition(":")[2])
        categories = pd.Index(known["categories"], dtype=known["dtype"])
        codes: Any = values.astype("i8") if valid is None else np.where(valid, values, -1)
        return pd.Categorical.from_codes(codes, categories=categories, ordered=known["ordered"])
    if dtype is not None or valid is not None:
        # Missing is not NaN: a type that knows both.
        mask = np.zeros(len(values), bool) if valid is None else ~valid
        if values.dtype.kind == "b":
            return pd.arrays.BooleanArray(values, mask)
        if values.dtype == np.float16:
            values = values.astype("f4")
        floats = values.dtype.kind == "f"
        return (pd.arrays.FloatingArray if floats else pd.arrays.IntegerArray)(values, mask)
    return values


def _objects(data: list[Any]) -> np.ndarray[Any, Any]:
    made = np.empty(len(data), object)
    made[:] = data
    return made


def _to_times(head: str, rest: str, data: np.ndarray[Any, Any], valid: np.ndarray[Any, Any] | None) -> Any:
    import pandas as pd

    unit, _, zone = rest.partition(":")
    values = data.view(f"{'M8' if head == 'timestamp' else 'm8'}[{unit}]")
    if valid is not None:
        values = np.where(valid, values, values.dtype.type("NaT", unit))
    if not zone:
        return values
    return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(zone)
