"""What a call of ``Run.log`` gives, by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from siltstone.errors import InvalidError

#: Most characters of a name.
LONGEST = 255
#: How deep dicts may lie in dicts.
_DEEPEST = 100
#: The table of the texts of runs, which is made with the first of them; importers have the same.
TEXTS = "texts"
#: Most bytes of an array that is kept.
_MOST_BYTES = 1_000_000_000 - (64 << 10)
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
        counts, self.edges = np.histogram(finite, bins=_bins(finite, bins))
        self.counts = counts.astype(np.int64)
        self.not_finite = len(numbers) - len(finite)


def _bins(finite: np.ndarray[Any, Any], bins: int) -> Any:
    """The number of bins; or where they begin and end, if values are nearer or farther than numpy takes them."""
    if not len(finite) or not isinstance(bins, (int, np.integer)) or bins < 1:
        return bins
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        low, high = low - 0.5, high + 0.5  # as numpy does
    # Every bin has a float between its ends.
    room, span = 2 * bins * float(np.spacing(max(abs(low), abs(high)) / 2)), high - low
    if max(2 * room, 1e-300) <= span < np.inf:
        return bins
    if span < 2 * room:
        greatest = float(np.finfo(np.float64).max)
        low, high = max(low - room, -greatest), min(high + room, greatest)
    # So that a step is neither infinite nor rounded.
    scale = 0.5 if span == np.inf else 2.0**600 if high - low < 1e-300 else 1.0
    return np.linspace(low * scale, high * scale, bins + 1) / scale


class Values:
    """The values of one call.

    Attributes
    ----------
    metrics : dict of str to float
    missing : list of str
        Metrics that are None.
    texts : dict of str to str
    arrays : dict of str to numpy.ndarray
    tables : dict of str to Records
    """

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise InvalidError(f"data: expected a dict of names and values, got {data!r}")
        self.metrics: dict[str, float] = {}
        self.missing: list[str] = []
        self.texts: dict[str, str] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.tables: dict[str, Records] = {}
        for name, value in _flat(data, ()):
            if any(name in known for known in (self.metrics, self.missing, self.texts, self.arrays, self.tables)):
                raise InvalidError(f"the data: expected each name once, got {name!r} twice")
            self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        if value is None or _is_masked(value):
            self.missing.append(name)
        elif isinstance(value, str):
            self.texts[name] = value
        elif is_table(value):
            table = _table(name, value)
            if table is not None:
                self.tables[name] = table
        else:
            array = _array(name, exact(name, value))
            if array.ndim == 0:
                self.metrics[name] = _float(name, array.item())
            else:
                self.arrays[name] = array


def _is_masked(value: Any) -> bool:
    """Whether it is one value of a masked array, and masked."""
    return isinstance(value, np.ma.MaskedArray) and value.ndim == 0 and bool(value.mask)


def is_table(value: Any) -> bool:
    """Whether it is a table of pandas, Polars, PyArrow or ours, with named columns."""
    # A frame of pandas before 2.2 streams no Arrow, but has types of columns.
    return hasattr(value, "columns") and (hasattr(value, "__arrow_c_stream__") or hasattr(value, "dtypes"))


def exact(name: str, value: Any) -> Any:
    """A decimal number, a fraction or a long double as the float that it is; anything else as it is."""
    return _float(name, value) if isinstance(value, (Decimal, Fraction, np.longdouble)) else value


def _float(name: str, value: Any) -> float:
    """A number as the float that it is."""
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


class Records(NamedTuple):
    """A table whose rows are logged, and the types of its columns as a table of records has them."""

    rows: Any
    types: dict[str, str]


def _table(name: str, value: Any) -> Records | None:
    """A table of which nothing is refused when it is logged, but for its names and what the file has.

    None for one without rows, whose columns say no types.
    """
    import pyarrow as pa

    if name.lower() in (TEXTS, f"{TEXTS}_rows"):
        raise InvalidError(f"{name}: expected another name of a table, since {TEXTS!r} has the texts of all runs")
    try:
        table, types = pa.table(value), {}
    except pa.ArrowException as error:
        raise InvalidError(f"{name}: expected a table that Arrow has too, got {error}") from None
    if table.num_columns and not table.num_rows:
        return None
    for i, field in enumerate(table.schema):
        where, kind, column = f"{name}.{field.name}", str(field.type), table[i]
        if field.name in types:
            raise InvalidError(f"{where}: expected each column once, got it twice")
        if pa.types.is_timestamp(field.type):
            types[field.name] = "datetime64[ns]"
            try:
                table = table.set_column(i, field.name, column.cast(pa.timestamp("ns", field.type.tz)))
            except pa.ArrowInvalid:
                raise InvalidError(f"{where}: expected times of the years 1678 to 2261, got others") from None
        elif pa.types.is_dictionary(field.type) and _TYPES.get(str(field.type.value_type)) == "text":
            types[field.name] = "category"
            # Each chunk has categories of its own.
            coded = [one.dictionary.cast(pa.large_string()).take(one.indices) for one in column.chunks]
            texts = pa.chunked_array(coded, pa.large_string())
            for text in texts.unique().to_pylist():
                if text is not None and (not 0 < len(text) <= LONGEST or "\0" in text):
                    expected = f"categories of 1 to {LONGEST} characters without a NUL"
                    raise InvalidError(f"{where}: expected {expected}, got {text[:40]!r}")
            table = table.set_column(i, field.name, texts)
        elif kind in _TYPES:
            types[field.name] = _TYPES[kind]
        else:
            expected = "a column of integers, floats, booleans, texts, categories or times"
            raise InvalidError(f"{where}: expected {expected}, got {kind}")
    return Records(table, types)


def _flat(data: Mapping[Any, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Names and values; those of a dict in a dict have dots between."""
    if len(above) > _DEEPEST:
        raise InvalidError(f"the data: expected dicts at most {_DEEPEST} deep, got deeper ones at {above[0]!r}")
    for key, value in data.items():
        if not isinstance(key, str):
            raise InvalidError(f"the data: expected names, which are texts, got {key!r}")
        path = (*above, key)
        name = ".".join(path)
        if isinstance(value, Histogram):
            outside = {"not_finite": value.not_finite} if value.not_finite else {}
            value = {"counts": value.counts, "edges": value.edges, **outside}
        if isinstance(value, Mapping):
            yield from _flat(value, path)
            continue
        for text in (name, value):
            if isinstance(text, str) and not text.isascii():
                _check_text(text)
        if not 0 < len(name) <= LONGEST or "\0" in name:
            expected = f"names of 1 to {LONGEST} characters without a NUL"
            raise InvalidError(f"the data: expected {expected}, got {name[:40]!r}")
        yield name, value


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidError(f"the data: expected texts of Unicode characters, got {text[:40]!r}") from None


def _check_exact(name: str, value: Any, array: np.ndarray[Any, Any]) -> None:
    """Refuse integers that became other floats, and numbers that became texts: of a list, or of a column with nulls."""
    if array.dtype.kind == "f":
        for item in _items(value):
            if isinstance(item, int) and abs(item) > 2**53:
                _float(name, item)
    elif array.dtype.kind == "U" and not all(isinstance(item, str) for item in _items(value)):
        raise InvalidError(f"{name}: expected numbers or texts, got both in {str(value)[:40]}")


def _items(value: Any) -> Iterator[Any]:
    """The values of a list of any depth, or of a column that numpy does not have as it is."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _items(item) if isinstance(item, (list, tuple)) else (item,)
    elif not isinstance(getattr(value, "dtype", None), np.dtype):
        to_list = getattr(value, "to_pylist", None) or getattr(value, "to_list", None)
        yield from to_list() if callable(to_list) else ()


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """The numbers of a value."""
    own = value
    if getattr(own, "mode", None) == "P" and callable(getattr(own, "convert", None)):
        # Of an image with a palette, the colours in place of their numbers.
        own = own.convert("RGBA" if "transparency" in own.info else "RGB")
    for call in ("detach", "cpu"):  # a tensor that has a gradient, or is elsewhere
        own = getattr(own, call)() if callable(getattr(own, call, None)) else own
    try:
        array = None if own is None or (isinstance(own, np.ma.MaskedArray) and own.ndim) else np.asarray(own)
        if array is not None and array.dtype.name == "bfloat16":
            array = array.astype(np.float32)  # exact
    except ValueError:  # lists of different lengths
        array = None
    if array is None or array.dtype.kind not in ("biufcmMU" if array.ndim else "biuf"):
        raise InvalidError(f"{name}: expected a number, a text, an array, an image, or a dict of these, got {value!r}")
    if array.ndim and array.dtype.itemsize > {"f": 8, "c": 16}.get(array.dtype.kind, array.dtype.itemsize):
        raise InvalidError(f"{name}: expected floats of 64 bits or fewer, got dtype {array.dtype}")
    if array.ndim:
        _check_exact(name, value, array)
    if array.nbytes > _MOST_BYTES:
        raise InvalidError(f"{name}: expected an array of at most {_MOST_BYTES:,} bytes, got {array.nbytes:,}")
    return array
