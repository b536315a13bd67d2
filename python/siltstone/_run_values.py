"""What a call of ``Run.log`` gives, by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from siltstone.errors import InvalidError

#: Most characters of a name.
LONGEST = 255
#: Types of Arrow as those of a table of records; texts and categories come in several forms.
_TYPES = {name: name for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")} | {
    "halffloat": "float32",
    "float": "float32",
    "double": "float64",
    "string": "text",
    "large_string": "text",
    "string_view": "text",
}


class Histogram:
    """How values are distributed, as :meth:`Run.log` takes it.

    Parameters
    ----------
    values : array-like
        Numbers of any shape. NaN and infinities are in no bin; how many there are is a metric, ``NAME.not_finite``.
    bins : int
        How many bins of the same width.

    Attributes
    ----------
    counts : numpy.ndarray
        Values in each bin, int64.
    edges : numpy.ndarray
        Where the bins begin and end, float64: one more than ``counts``.
    not_finite : int
        Values that are in no bin.

    Examples
    --------
    >>> import siltstone
    >>> siltstone.Histogram([0.0, 0.1, 1.0], bins=2).counts.tolist()
    [2, 1]
    """

    def __init__(self, values: Any, bins: int = 64) -> None:
        numbers = np.asarray(values, dtype=np.float64).ravel()
        finite = numbers[np.isfinite(numbers)]
        counts, self.edges = np.histogram(finite, bins=bins)
        self.counts = counts.astype(np.int64)
        self.not_finite = len(numbers) - len(finite)


class Values:
    """The values of one call.

    Attributes
    ----------
    metrics : dict of str to float
    missing : list of str
        Metrics that are None.
    texts : dict of str to str
    arrays : dict of str to numpy.ndarray
    tables : dict of str to pyarrow.Table
    """

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise InvalidError(f"data: expected a dict of names and values, got {data!r}")
        self.metrics: dict[str, float] = {}
        self.missing: list[str] = []
        self.texts: dict[str, str] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.tables: dict[str, Any] = {}
        for name, value in _flat(data, ()):
            if any(name in known for known in (self.metrics, self.missing, self.texts, self.arrays, self.tables)):
                raise InvalidError(f"the data: expected each name once, got {name!r} twice")
            self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        if value is None:
            self.missing.append(name)
        elif isinstance(value, str):
            self.texts[name] = value
        elif isinstance(value, Histogram):
            self.arrays[f"{name}.counts"], self.arrays[f"{name}.edges"] = value.counts, value.edges
            if value.not_finite:
                self.metrics[f"{name}.not_finite"] = value.not_finite
        elif is_table(value):
            import pyarrow as pa

            self.tables[name] = pa.table(value)
        else:
            array = _array(name, exact(name, value))
            if array.ndim == 0 and array.dtype.kind in "biuf":
                self.metrics[name] = array.item()
            else:
                self.arrays[name] = array


def is_table(value: Any) -> bool:
    """Whether it is a table of pandas, Polars, PyArrow or ours, with named columns."""
    # A frame of pandas before 2.2 streams no Arrow, but has types of columns.
    return hasattr(value, "columns") and (hasattr(value, "__arrow_c_stream__") or hasattr(value, "dtypes"))


def exact(name: str, value: Any) -> Any:
    """A decimal number or a fraction as the float that it is; anything else as it is."""
    if not isinstance(value, (Decimal, Fraction)):
        return value
    try:
        number = float(value)
        if number == value or (number != number and value != value):
            return number
    except (ValueError, ArithmeticError):  # a signalling NaN, a fraction that is too large
        pass
    kept = f"float({value}) rounds it, str({value}) keeps it as a text"
    raise InvalidError(f"{name}: expected a number that a float has exactly, got {value!r}: {kept}")


def plain(name: str, value: Any) -> Any:
    """A value of a summary, exact numbers as floats."""
    if isinstance(value, Mapping):
        return {key: plain(f"{name}.{key}", one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(f"{name}[{i}]", one) for i, one in enumerate(value)]
    if is_table(value):
        raise InvalidError(f"{name}: expected a value of a summary, got a table; run.log({{{name!r}: table}}) keeps it")
    return exact(name, value)


def column_types(name: str, table: Any) -> dict[str, str]:
    """The columns of a table of PyArrow, and their types as a table of records has them."""
    import pyarrow as pa

    types = {}
    for field in table.schema:
        kind = str(field.type)
        if pa.types.is_timestamp(field.type):
            types[field.name] = "datetime64[ns]"
        elif pa.types.is_dictionary(field.type) and str(field.type.value_type) in _TYPES:
            types[field.name] = "category"
        elif kind in _TYPES:
            types[field.name] = _TYPES[kind]
        else:
            expected = "a column of integers, floats, booleans, texts, categories or times"
            raise InvalidError(f"{name}.{field.name}: expected {expected}, got {kind}")
    return types


def _flat(data: Mapping[Any, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Names and values; those of a dict in a dict have dots between."""
    for key, value in data.items():
        if not isinstance(key, str):
            raise InvalidError(f"the data: expected names, which are texts, got {key!r}")
        path = (*above, key)
        name = ".".join(path)
        if isinstance(value, Mapping):
            yield from _flat(value, path)
            continue
        for text in (name, value):
            if isinstance(text, str) and not text.isascii():
                _check_text(text)
        if not 0 < len(name) <= LONGEST:
            raise InvalidError(f"the data: expected names of 1 to {LONGEST} characters, got {name[:40]!r}")
        yield name, value


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidError(f"the data: expected texts of Unicode characters, got {text[:40]!r}") from None


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """The numbers of a value."""
    own = value
    for call in ("detach", "cpu"):  # a tensor that has a gradient, or is elsewhere
        own = getattr(own, call)() if callable(getattr(own, call, None)) else own
    try:
        array = None if own is None or isinstance(own, np.ma.MaskedArray) else np.asarray(own)
        if array is not None and array.dtype.name == "bfloat16":
            array = array.astype(np.float32)  # exact
    except ValueError:  # lists of different lengths
        array = None
    if array is None or array.dtype.kind not in ("biufcmMU" if array.ndim else "biuf"):
        raise InvalidError(f"{name}: expected a number, a text, an array, an image, or a dict of these, got {value!r}")
    return array
