"""The state of an entity group at a time."""

from __future__ import annotations

import json
import weakref
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from siltstone import _html, _siltstone
from siltstone.errors import ClosedError, NotFoundError

_NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})

Column = dict[str, np.ndarray[Any, Any]]
_MISSING: Any = object()


class State:
    """The state of an entity group: ``{"id": {"data"}, attribute: {"data"[, "row_ptr"][, "mask"]}}``.

    ``mask`` is there if any row is undefined, and true for those. It reads and changes as a dict
    does, and ``dict(state)`` makes one of it. To other libraries it is a table, by the Arrow C stream
    interface: ``pyarrow.table(state)``, ``polars.DataFrame(state)`` and
    ``pandas.DataFrame.from_arrow(state)`` take it as it is. It is no ``dict`` and no ``Mapping``,
    since they look for those first and would take the names for the data.

    Attributes
    ----------
    dataset, group : str
        What it is the state of.
    timestamp : int
        The timestamp that was asked for.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | State = _NO_COLUMNS,
        dataset: str = "",
        group: str = "",
        timestamp: int = -1,
        source: Any = None,
    ) -> None:
        self._columns: dict[str, Column] = dict(data)
        self.dataset = dataset
        self.group = group
        self.timestamp = timestamp
        # Whoever knows the attribute types; a state does not keep its file open.
        self._source = None if source is None else weakref.ref(source)

    # -- as a dict -------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __setitem__(self, name: str, column: Any) -> None:
        self._columns[name] = column

    def __delitem__(self, name: str) -> None:
        del self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def keys(self) -> KeysView[str]:
        """The names: ``id``, then the attributes."""
        return self._columns.keys()

    def values(self) -> ValuesView[Column]:
        """The columns."""
        return self._columns.values()

    def items(self) -> ItemsView[str, Column]:
        """Names and columns."""
        return self._columns.items()

    def get(self, name: str, default: Any = None) -> Any:
        """A column, or `default` if there is none of that name."""
        return self._columns.get(name, default)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """Take a column out."""
        return self._columns.pop(name) if default is _MISSING else self._columns.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """A column; `default` is put there if there is none of that name."""
        return self._columns.setdefault(name, default)

    def update(self, *columns: Any, **named: Any) -> None:
        """Put columns in, as ``dict.update``."""
        self._columns.update(*columns, **named)

    def __eq__(self, other: object) -> bool:
        """Whether `other` has the same columns: of a state by dtype, shape and bits, of a dict by value.

        In a dict without a mask undefined values stand as movici's sentinel values.
        """
        if not isinstance(other, (State, Mapping)):
            return NotImplemented
        same = _same_column if isinstance(other, State) else _equal_column
        return self.keys() == other.keys() and all(same(column, other[name]) for name, column in self.items())

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError(
            "a state is a table and no array: take state[name]['data'], state.to_pandas() or "
            "pandas.DataFrame.from_arrow(state)"
        )

    # -- as a table ------------------------------------------------------------------------------

    @property
    def ids(self) -> np.ndarray[Any, Any]:
        """The entities, in the order of the rows."""
        return self["id"]["data"]

    def _column(self, attribute: Any) -> Column:
        try:
            return self._columns[attribute]
        except (KeyError, TypeError):
            listed = ", ".join(self._columns)
            raise NotFoundError(f"attribute: expected one of {listed}, got {attribute!r}") from None

    def masked(self, attribute: str) -> np.ma.MaskedArray[Any, Any]:
        """An attribute as a numpy masked array: undefined rows are masked."""
        column = self._column(attribute)
        if "row_ptr" in column:
            raise ValueError(f"{attribute}: a ragged attribute is no masked array; see rows()")
        data, mask = column["data"], column.get("mask")
        if mask is not None:
            mask = np.broadcast_to(mask.reshape(-1, *[1] * (data.ndim - 1)), data.shape)
        make: Any = np.ma.array  # it has no types before numpy 2.3
        masked: np.ma.MaskedArray[Any, Any] = make(data, mask=np.ma.nomask if mask is None else mask)
        return masked

    def rows(self, attribute: str) -> list[Any]:
        """An attribute's value per entity: a scalar, an array, or None where it is undefined."""
        column = self._column(attribute)
        data, row_ptr, mask = column["data"], column.get("row_ptr"), column.get("mask")
        values: Any = data if row_ptr is None else np.split(data, row_ptr[1:-1])
        if mask is None:
            return list(values)
        return [None if missing else value for value, missing in zip(values, mask, strict=True)]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return _siltstone.state_to_arrow(dict(self), self.timestamp, self._schema(), requested_schema)

    def _with_bools(self) -> State:
        """Bytes of 0 and 1 that the schema calls bools as bools."""
        specs = json.loads(self._schema() or b"[]")
        made = self.copy()
        for name in (spec["name"] for spec in specs if spec["py_type"] == "bool"):
            column = made.get(name)
            if column is None or column["data"].dtype != np.int8:
                continue
            data, mask = column["data"], column.get("mask")
            defined = data if mask is None or "row_ptr" in column else data[~mask]
            if np.isin(defined, (0, 1)).all():
                made[name] = {**column, "data": data.astype(bool)}
        return made

    def _schema(self) -> bytes | None:
        source = self._source() if self._source is not None else None
        try:
            return None if source is None else source.schema()
        except ClosedError:
            return None

    def to_pandas(self) -> Any:
        """The state as a pandas DataFrame, a row an entity, indexed by id.

        Integers with undefined rows become pandas' nullable integers; a value that is itself an
        array (ragged, or of several components) is one object. What the schema calls a bool is one,
        also if it is stored as 0 and 1.
        """
        import pandas as pd

        index = pd.Index(self.ids, name="id")
        state = self._with_bools()
        columns = {name: _series(state, name) for name in self if name != "id"}
        return pd.DataFrame(columns, index=index)

    def to_arrow(self) -> Any:
        """The state as a PyArrow table, a row an entity; undefined is null."""
        import pyarrow as pa

        return pa.table(self)

    def to_polars(self) -> Any:
        """The state as a Polars DataFrame, a row an entity; undefined is null."""
        import polars as pl

        return pl.DataFrame(self)

    def to_xarray(self) -> Any:
        """The state as an xarray Dataset over the dimension ``id``.

        Further dimensions are named ``<attribute>_1``, ``<attribute>_2``, ... A ragged attribute is
        an array of objects, one array each. Where rows are undefined, floats are NaN and the others
        have a variable ``<attribute>_undefined``.
        """
        import xarray as xr

        variables: dict[str, Any] = {}
        for name, column in self.items():
            if name == "id":
                continue
            data, mask = column["data"], column.get("mask")
            if "row_ptr" in column:
                data = _objects(self.rows(name))
            dims = ["id", *(f"{name}_{i}" for i in range(1, data.ndim))]
            if mask is not None and data.dtype.kind == "f":
                data = data.copy()
                data[mask] = np.nan
            elif mask is not None and data.dtype.kind != "O":
                variables[f"{name}_undefined"] = ("id", mask)
            variables[name] = (dims, data)
        attrs = {"dataset": self.dataset, "entity_group": self.group, "timestamp": self.timestamp}
        return xr.Dataset(variables, coords={"id": self.ids}, attrs=attrs)

    def _name(self) -> str:
        return f"{self.dataset}/{self.group}" if self.group else "state"

    def __repr__(self) -> str:
        return f"State({self._name()} at {self.timestamp}: {self._columns!r})"

    def _repr_html_(self) -> str:
        columns = [self.rows(name) for name in self]
        title = f"{self._name()} at {self.timestamp}: {len(self.ids)} entities"
        return _html.table(title, self, zip(*columns, strict=True), len(self.ids))

    def __reduce__(self) -> Any:
        return State, (dict(self), self.dataset, self.group, self.timestamp)

    def copy(self) -> State:
        """A shallow copy."""
        source = self._source() if self._source is not None else None
        return State(self, self.dataset, self.group, self.timestamp, source)


def _same_column(one: Any, other: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return _same(one, other)
    return one.keys() == other.keys() and all(_same(part, other[key]) for key, part in one.items())


#: Sentinels of undefined values in an array without a mask, by the kind of the array.
_SENTINELS = {"i": (-128, -(2**31)), "f": (), "U": ("_udf_",)}


def _equal_column(one: Any, other: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping) or "data" not in other:
        return _same_column(one, other)
    ragged, given = one.get("row_ptr"), other.get("row_ptr", other.get("indptr"))
    if (ragged is None) != (given is None) or (ragged is not None and not np.array_equal(ragged, given)):
        return False
    data, values = np.asarray(one["data"]), np.asarray(other["data"])
    if data.shape != values.shape:
        return False
    if data.dtype.kind == "O" or values.dtype.kind == "O":
        return bool((data == values).all())
    gone, missing = _undefined(data, one.get("mask")), _undefined(values, other.get("mask"))
    return bool(np.array_equal(gone, missing) and ((data == values) | gone).all())


def _undefined(data: np.ndarray[Any, Any], mask: Any) -> np.ndarray[Any, Any]:
    """Which components say nothing: those of masked rows, NaN, NaT, and without a mask the sentinels."""
    kind = data.dtype.kind
    gone: np.ndarray[Any, Any] = (
        np.isnan(data) if kind in "fc" else np.isnat(data) if kind in "mM" else np.zeros(data.shape, dtype=bool)
    )
    if mask is not None and len(mask) == len(data):
        gone |= np.broadcast_to(np.asarray(mask).reshape(-1, *[1] * (data.ndim - 1)), data.shape)
    elif mask is None:
        for sentinel in _SENTINELS.get(data.dtype.kind, ()):
            is_sentinel = sentinel != -128 or data.dtype.itemsize == 1
            if is_sentinel:
                gone |= data == sentinel
    return gone


def _same(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    # By bits: a NaN is itself, and 0.0 is not -0.0.
    return one.tobytes() == other.tobytes() if one.dtype.kind != "O" else bool((one == other).all())


def _objects(rows: list[Any]) -> np.ndarray[Any, Any]:
    # numpy would make one array of rows of equal length.
    made = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        made[i] = row
    return made


def _series(state: State, name: str) -> Any:
    import pandas as pd

    column = state[name]
    data, mask = column["data"], column.get("mask")
    if "row_ptr" in column or data.ndim > 1:
        return _objects(state.rows(name))
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if mask is None:
        return data
    if data.dtype.kind == "b":
        return pd.arrays.BooleanArray(data, mask.copy())
    if data.dtype.kind in "iu":
        return pd.arrays.IntegerArray(data, mask.copy())
    if data.dtype.kind in "fc":
        data = data.copy()
        data[mask] = np.nan
        return data
    return _objects(state.rows(name))
