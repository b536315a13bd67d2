"""The state of an entity group at a time."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from siltstone import _html, _siltstone
from siltstone.errors import ClosedError


class State(dict[str, dict[str, np.ndarray]]):
    """The state of an entity group: ``{"id": {"data"}, attribute: {"data"[, "row_ptr"][, "mask"]}}``.

    ``mask`` is there if any row is undefined, and true for those. It is a plain dict with some
    conversions, and offers the Arrow C stream interface.

    Attributes
    ----------
    dataset, group : str
        What it is the state of.
    timestamp : int
        The timestamp that was asked for.
    """

    def __init__(
        self,
        data: Mapping[str, Any] = {},
        dataset: str = "",
        group: str = "",
        timestamp: int = -1,
        source: Any = None,
    ) -> None:
        super().__init__(data)
        self.dataset = dataset
        self.group = group
        self.timestamp = timestamp
        # Whoever knows the attribute types; a state does not keep its file open.
        self._source = None if source is None else weakref.ref(source)

    @property
    def ids(self) -> np.ndarray:
        """The entities, in the order of the rows."""
        return self["id"]["data"]

    def masked(self, attribute: str) -> np.ma.MaskedArray:
        """An attribute as a numpy masked array: undefined rows are masked."""
        column = self[attribute]
        if "row_ptr" in column:
            raise ValueError(f"{attribute}: a ragged attribute is no masked array; see rows()")
        data, mask = column["data"], column.get("mask")
        if mask is not None:
            mask = np.broadcast_to(mask.reshape(-1, *[1] * (data.ndim - 1)), data.shape)
        return np.ma.MaskedArray(data, mask=np.ma.nomask if mask is None else mask)

    def rows(self, attribute: str) -> list[Any]:
        """An attribute's value per entity: a scalar, an array, or None where it is undefined."""
        column = self[attribute]
        data, row_ptr, mask = column["data"], column.get("row_ptr"), column.get("mask")
        values: Any = data if row_ptr is None else np.split(data, row_ptr[1:-1])
        if mask is None:
            return list(values)
        return [None if missing else value for value, missing in zip(values, mask, strict=True)]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return _siltstone.state_to_arrow(
            dict(self), self.timestamp, self._schema(), requested_schema
        )

    def _schema(self) -> bytes | None:
        source = self._source() if self._source is not None else None
        try:
            return None if source is None else source.schema()
        except ClosedError:
            return None

    def to_pandas(self) -> Any:
        """The state as a pandas DataFrame, a row an entity, indexed by id.

        Integers with undefined rows become pandas' nullable integers; a value that is itself an
        array (ragged, or of several components) is one object.
        """
        import pandas as pd

        index = pd.Index(self.ids, name="id")
        columns = {name: _series(self, name) for name in self if name != "id"}
        return pd.DataFrame(columns, index=index)

    def to_arrow(self) -> Any:
        """The state as a PyArrow table, a row an entity; undefined is null.

        ``pyarrow.table(state)`` would take it for a dict of columns, which it is not.
        """
        import pyarrow as pa

        return pa.table(_Stream(self))

    def to_polars(self) -> Any:
        """The state as a Polars DataFrame, a row an entity; undefined is null."""
        import polars as pl

        return pl.DataFrame(_Stream(self))

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
        return f"State({self._name()} at {self.timestamp}: {super().__repr__()})"

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


class _Stream:
    """A state as a table only: other libraries look first whether something is a dict."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._state.__arrow_c_stream__(requested_schema)


def _objects(rows: list[Any]) -> np.ndarray:
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
