"""pandas' Arrow-backed values as plain columns, and back to the same Arrow type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siltstone.errors import InvalidTypeError

if TYPE_CHECKING:
    import pyarrow as pa

#: The dtype of such values begins with it, and ends with the name of the Arrow type.
PREFIX = "arrow:"
_TEXTS = ("string", "large_string")
_BINARY = ("binary", "large_binary")


def from_arrow(what: str, array: Any) -> tuple[str, str, Any, np.ndarray[Any, Any] | None]:
    """The dtype to keep, and type, data and validity of a pandas array that is backed by Arrow."""
    import pyarrow as pa

    found = pa.chunked_array(array.__arrow_array__()).combine_chunks()
    kind = found.type
    name = str(kind)
    if name in _TEXTS or name in _BINARY:
        return PREFIX + name, "text" if name in _TEXTS else "binary", found.to_pylist(), None
    valid = None if found.null_count == 0 else found.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        head = "timestamp" if pa.types.is_timestamp(kind) else "duration"
        zone = getattr(kind, "tz", None)
        text = f"{head}:{kind.unit}" + (f":{zone}" if zone else "")
        return PREFIX + head, text, _numpy(found.cast(pa.int64())), valid
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        data = _numpy(found)
        return PREFIX + name, data.dtype.name, data, valid
    raise InvalidTypeError(
        f"{what}: expected numbers, booleans, texts, bytes, times or time spans, got {name}[pyarrow]"
    )


def to_arrow(dtype: str, text: str, data: Any, valid: np.ndarray[Any, Any] | None) -> Any:
    """The pandas array of what :func:`from_arrow` gave; `data` are numbers, or a list of texts or bytes."""
    import pandas as pd
    import pyarrow as pa

    head, _, rest = text.partition(":")
    mask = None if valid is None else ~valid
    made: pa.Array
    if head in ("text", "binary"):
        large = dtype.removeprefix(PREFIX).startswith("large_")
        texts, binary = (pa.large_string, pa.large_binary) if large else (pa.string, pa.binary)
        made = pa.array(data, (texts if head == "text" else binary)())
    elif head in ("timestamp", "duration"):
        unit, _, zone = rest.partition(":")
        kind = pa.timestamp(unit, zone or None) if head == "timestamp" else pa.duration(unit)
        made = pa.array(data, pa.int64(), mask=mask).cast(kind)
    else:
        made = pa.array(data, pa.from_numpy_dtype(data.dtype), mask=mask, from_pandas=False)
    return pd.arrays.ArrowExtensionArray(made)


def _numpy(array: Any) -> np.ndarray[Any, Any]:
    if array.null_count:
        array = array.fill_null(False if str(array.type) == "bool" else 0)
    made: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)
    return made
