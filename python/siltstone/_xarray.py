"""Tables as xarray Datasets."""

from __future__ import annotations

from typing import Any

import numpy as np


def dataset(reader: Any, times: int = 0) -> Any:
    """A PyArrow reader of record batches as a Dataset; `times` is how many states are expected.

    What is expected is filled in place, batch by batch. Columns of more rows, or of a number that
    nobody knew, are put together at the end, one after another.
    """
    import xarray as xr

    schema = reader.schema
    said = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    states = said.get("siltstone.kind") == "states"
    columns = [_Column(field.name, field.type) for field in schema]
    for i, batch in enumerate(reader):
        if i == 0 and states:
            for column in columns:
                column.expect(times * _per_time(batch.column(1).to_numpy()))
        for column, array in zip(columns, batch.columns, strict=True):
            column.add(array)
    names = {"siltstone.dataset": "dataset", "siltstone.group": "entity_group"}
    attrs = {name: said[key] for key, name in names.items() if key in said}
    dims, coords, shape = ["row"], {}, None
    if states:
        time, ids = columns.pop(0).finish()[0], columns.pop(0).finish()[0]
        # A state has every entity that the run ever has, in one order: all are of one length.
        per_time = _per_time(ids)
        shape = (len(ids) // max(per_time, 1), per_time)
        if len(ids) != shape[0] * shape[1] or (ids.reshape(shape) != ids[:per_time]).any():
            raise ValueError("the run was changed while it was read: its states differ in entities")
        dims = ["timestamp", "id"]
        coords = {"timestamp": time[:: max(per_time, 1)].copy(), "id": ids[:per_time].copy()}
        del time, ids
    variables: dict[str, Any] = {}
    while columns:
        column = columns.pop(0)
        values, undefined = column.finish()
        own = [f"{column.name}_{i}" for i in range(1, values.ndim)]
        if shape is not None:
            values = values.reshape(*shape, *values.shape[1:])
            undefined = None if undefined is None else undefined.reshape(shape)
        variables[column.name] = ([*dims, *own], values)
        if undefined is not None:
            variables[f"{column.name}_undefined"] = (dims, undefined)
    return xr.Dataset(variables, coords=coords, attrs=attrs)


class _Column:
    """One column while its parts come in."""

    def __init__(self, name: str, kind: Any) -> None:
        import pyarrow as pa

        self.name = name
        self._shape: list[int] = []
        while pa.types.is_fixed_size_list(kind):
            self._shape.append(kind.list_size)
            kind = kind.value_type
        self._kind = kind
        # The first part is what was expected, filled up to `_rows`.
        self._values: list[np.ndarray[Any, Any]] = []
        self._undefined: list[np.ndarray[Any, Any]] = []
        self._expected = self._rows = 0

    def expect(self, rows: int) -> None:
        self._expected = rows

    def add(self, array: Any) -> None:
        undefined = array.is_null().to_numpy(zero_copy_only=False)
        for length in self._shape:
            array = array.values.slice(array.offset * length, len(array) * length)
        values = _items(array, self._kind).reshape(len(undefined), *self._shape)
        if self._shape and undefined.any():
            values[undefined] = _filler(values.dtype, self._kind)
        if self._expected and not self._values:
            # Memory that is not written to is none.
            self._values.append(np.empty((self._expected, *self._shape), values.dtype))
            self._undefined.append(np.zeros(self._expected, bool))
        end = self._rows + len(values)
        if self._expected and end <= self._expected and len(self._values) == 1:
            self._rows = end
            self._values[0][end - len(values) : end] = values
            self._undefined[0][end - len(values) : end] = undefined
        else:
            self._values.append(values)
            self._undefined.append(undefined)

    def finish(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
        """The values, and which rows are undefined if any is and the values do not say so."""
        import pyarrow as pa

        if not self._values:
            self._values.append(_items(pa.array([], self._kind), self._kind).reshape(0, *self._shape))
            self._undefined.append(np.zeros(0, bool))
        if self._expected:
            self._values[0] = self._values[0][: self._rows]
            self._undefined[0] = self._undefined[0][: self._rows]
        values, undefined = _joined(self._values), _joined(self._undefined)
        if pa.types.is_string(self._kind) or pa.types.is_binary(self._kind):
            # Of objects xarray and pandas make what they like.
            values = values.astype("U" if pa.types.is_string(self._kind) else "S")
        if values.dtype.kind in "fcMmO" or not undefined.any():
            return values, None
        return values, undefined


def _per_time(ids: np.ndarray[Any, Any]) -> int:
    """The entities of one state: until the first comes again."""
    again = np.flatnonzero(ids == ids[0]) if len(ids) else ids
    return int(again[1]) if len(again) > 1 else len(ids)


def _joined(parts: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    parts.clear()
    return whole


def _filler(dtype: np.dtype[Any], kind: Any) -> Any:
    """What stands where nothing is defined."""
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return "" if pa.types.is_string(kind) else b""
    if dtype.kind in "Mm":
        return np.array("NaT", dtype)
    return {"f": np.nan, "c": np.nan, "O": None}.get(dtype.kind, 0)


def _items(array: Any, kind: Any) -> np.ndarray[Any, Any]:
    """Arrow values as numpy's, in memory of their own."""
    import pyarrow as pa

    types = pa.types
    if types.is_integer(kind) or types.is_boolean(kind):
        filled = array.fill_null(False if types.is_boolean(kind) else 0)
        return np.array(filled.to_numpy(zero_copy_only=False))
    if types.is_struct(kind):  # a complex number
        parts = [_items(part, part.type) for part in array.flatten()]
        made = np.empty(len(array), np.result_type(parts[0].dtype, np.complex64))
        made.real, made.imag = parts
        made[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return made
    if types.is_list(kind):
        made = np.empty(len(array), dtype=object)
        column = _Column("", kind.value_type)
        column.add(array.values)
        values, ends = column.finish()[0], array.offsets.to_numpy()
        for i, valid in enumerate(array.is_valid().to_numpy(zero_copy_only=False)):
            made[i] = values[ends[i] : ends[i + 1]] if valid else None
        return made
    if types.is_string(kind) or types.is_binary(kind):
        array = array.fill_null("" if types.is_string(kind) else b"")
    return np.array(array.to_numpy(zero_copy_only=False))
