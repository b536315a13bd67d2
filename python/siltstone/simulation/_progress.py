"""The state of a recorded dataset as movici's readers hold it: one time, all groups, undefined as values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siltstone.errors import InvalidError, InvalidIndexError, InvalidTypeError, NotFoundError
from siltstone.simulation._attributes import AttributeInfo
from siltstone.simulation._time import Time

if TYPE_CHECKING:
    from siltstone.simulation._results import ResultDataset

#: What stands for "undefined" in an array of movici, by the kind of its values.
UNDEFINED: dict[type, Any] = {bool: -128, int: -(2**31), float: np.nan, str: "_udf_"}


class DataType(NamedTuple):
    """The type of an attribute, as movici describes it."""

    py_type: type
    unit_shape: tuple[int, ...] = ()
    csr: bool = False

    @property
    def undefined(self) -> Any:
        """The value that stands for "undefined"."""
        return UNDEFINED[self.py_type]

    def is_undefined(self, values: Any) -> Any:
        """Which components are undefined."""
        values = np.asarray(values)
        return np.isnan(values) if self.py_type is float else values == self.undefined


def _data_type(info: AttributeInfo) -> Any:
    dtype = np.dtype(info.dtype)
    kinds: dict[str, type] = {"b": bool, "f": float, "U": str}
    py_type = bool if dtype == np.int8 else kinds.get(dtype.kind, int)
    # Where movici itself is in use, its own class.
    movici = sys.modules.get("movici_simulation_core.core.data_type")
    made = DataType if movici is None else movici.DataType
    return made(py_type, tuple(info.unit_shape), info.csr)


@dataclass(frozen=True)
class Options:
    """What the numbers of an attribute stand for."""

    special: Any = None
    enum_name: str | None = None
    enum_values: list[str] | None = None


class CSR(NamedTuple):
    """A list of values for each entity: entity ``i`` owns ``data[row_ptr[i]:row_ptr[i + 1]]``."""

    data: np.ndarray[Any, Any]
    row_ptr: np.ndarray[Any, Any]

    @property
    def size(self) -> int:
        """The number of entities."""
        return len(self.row_ptr) - 1

    def get_row(self, at: int) -> np.ndarray[Any, Any]:
        """The values of the entity at this time."""
        return self.data[self.row_ptr[at] : self.row_ptr[at + 1]]


class Index:
    """The entities of a group, in the order of the rows."""

    def __init__(self, ids: np.ndarray[Any, Any]) -> None:
        self.ids = ids
        self._at = {int(id_): at for at, id_ in enumerate(ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, ids: Any) -> Any:
        """The row of an id, or the rows of several; -1 for one that is not there."""
        if np.ndim(ids) == 0:
            return self._at.get(int(ids), -1)
        return np.array([self._at.get(int(id_), -1) for id_ in ids], dtype=np.int64)


class StateAttribute:
    """An attribute of a group at the time at which its :class:`TimeProgressingState` stands.

    Attributes
    ----------
    name : str
        The attribute.
    data_type : DataType
        ``py_type``, ``unit_shape``, ``csr``; movici's own class where that is loaded.
    options : Options
        ``special``, ``enum_name``, ``enum_values``.
    """

    def __init__(self, state: TimeProgressingState, group: str, info: AttributeInfo) -> None:
        self._state, self._group = state, group
        self.name = info.name
        self.data_type = _data_type(info)
        self.options = Options(info.special, info.enum_name, info.enum_values)

    @property
    def index(self) -> Index:
        """The entities."""
        return self._state.get_index(self._state.name, self._group)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The values, a row an entity, undefined ones as movici's sentinel values. Not for a ragged attribute."""
        if self.data_type.csr:
            raise InvalidTypeError(
                f"{self.name}: expected an attribute of one value an entity, got a ragged one; see csr"
            )
        return self._column()["data"]

    @property
    def csr(self) -> CSR:
        """The values as a list for each entity; a list of one, if the attribute is not ragged."""
        column = self._column()
        row_ptr = column.get("row_ptr")
        return CSR(column["data"], np.arange(len(self.index) + 1) if row_ptr is None else row_ptr)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: Any) -> Any:
        return self.slice(item)

    def slice(self, item: Any) -> Any:
        """The values of some rows."""
        try:
            if not self.data_type.csr:
                return self.array[item]
            at = np.atleast_1d(np.arange(len(self))[item])
        except (IndexError, TypeError) as error:
            raise InvalidIndexError(f"item: expected rows of {len(self)}, got {item!r} ({error})") from None
        csr = self.csr
        rows = [csr.get_row(row) for row in at]
        return CSR(*_joined(rows, csr.data))

    def has_data(self) -> bool:
        """Whether there are values; an entity that has none is undefined."""
        return True

    def is_initialized(self) -> bool:
        """Whether no entity is undefined."""
        return not bool(np.any(self.is_undefined()))

    def is_undefined(self) -> np.ndarray[Any, Any]:
        """Which entities are undefined: in all components, and for a ragged attribute in any value."""
        if self.data_type.csr:
            csr = self.csr
            gone = self.data_type.is_undefined(csr.data)
            return np.array([bool(np.any(gone[a:b])) for a, b in pairwise(csr.row_ptr)], dtype=bool)
        undefined: np.ndarray[Any, Any] = self.data_type.is_undefined(self.array)
        return np.all(undefined.reshape(len(undefined), -1), axis=1) if undefined.ndim > 1 else undefined

    def is_special(self) -> np.ndarray[Any, Any]:
        """Which values are the special one of the dataset."""
        data = self._column()["data"]
        special = self.options.special
        return np.zeros(data.shape, dtype=bool) if special is None else np.asarray(data == special)

    def get_enum_string(self, value: int) -> str:
        """The text that a number of the enumeration stands for."""
        values = self.options.enum_values
        if values is None:
            raise InvalidError(f"{self.name}: expected an attribute with an enumeration, got one without")
        if not 0 <= value < len(values):
            raise InvalidError(f"{self.name}: expected a number below {len(values)}, got {value}")
        return values[value]

    def to_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """``{"data"[, "row_ptr"]}``, for the caller to keep."""
        return {key: values.copy() for key, values in self._column().items()}

    def _column(self) -> dict[str, np.ndarray[Any, Any]]:
        return self._state._columns(self._group)[self.name]

    def __repr__(self) -> str:
        return f"StateAttribute({self._group}/{self.name} at {self._state.timestamp})"


class TimeProgressingState:
    """All groups of a dataset at one time; it begins at the end of the run.

    It has the calls of movici's class of this name that read. Undefined values stand as movici's sentinel values: NaN,
    -2147483648, -128 (of a bool, which is an ``int8``), ``"_udf_"``. Every entity of the run has a row at all times.
    :meth:`ResultDataset.state_at` gives one group, with masks. Get it from :attr:`ResultDataset.state`.
    """

    def __init__(self, dataset: ResultDataset) -> None:
        self._dataset = dataset
        self._at: dict[str, tuple[int, dict[str, dict[str, np.ndarray[Any, Any]]]]] = {}
        self._index: dict[str, Index] = {}
        times = dataset.get_timestamps()
        self.last_timestamp = times[-1] if times else -1
        self.timestamp: Time = self.last_timestamp
        self.attributes: dict[str, dict[str, dict[str, StateAttribute]]] = {
            self.name: {
                group: {
                    info.name: StateAttribute(self, group, info)
                    for info in dataset.attributes(group)
                    if info.name != "id"
                }
                for group in dataset.groups
            }
        }

    @property
    def name(self) -> str:
        """The dataset."""
        return self._dataset.name

    @property
    def index(self) -> dict[str, dict[str, Index]]:
        """The entities, by dataset and group."""
        return {self.name: {group: self.get_index(self.name, group) for group in self._dataset.groups}}

    def move_to(self, timestamp: Time) -> None:
        """Go to a time, as :meth:`ResultDataset.state_at` takes it; -1 is the initial state."""
        for group in self._dataset.groups[:1]:
            self._dataset.state_at(group, timestamp)  # what is no time is refused here
        self.timestamp = timestamp

    def get_timestamps(self, dataset: str, entity_group: str | None = None) -> list[int]:
        """The timestamps at which the dataset, or one of its groups, has updates.

        ``[0]`` for a group that has none; no timestamp for an unknown dataset or group.
        """
        return self._dataset.get_timestamps(entity_group) if dataset == self.name else []

    def get_index(self, dataset: str, entity_group: str) -> Index:
        """The entities of a group; none of an unknown one."""
        if dataset != self.name:
            return Index(np.array([], dtype=np.int64))
        if entity_group not in self._index:
            end = self._dataset.state_at(entity_group, self.last_timestamp)
            ids = np.array([], dtype=np.int64) if end is None else end.ids
            self._index[entity_group] = Index(ids)
        return self._index[entity_group]

    def get_attribute(self, dataset: str, entity_group: str, name: str) -> StateAttribute:
        """An attribute; it stands where this state stands.

        Raises
        ------
        ValueError
            If there is none of that name (:class:`siltstone.errors.NotFoundError`).
        """
        try:
            return self.attributes[dataset][entity_group][name]
        except KeyError:
            raise NotFoundError(f"the attribute {name!r} is not in {dataset!r}/{entity_group!r}") from None

    def iter_attributes(self) -> Iterator[tuple[str, str, str, StateAttribute]]:
        """Dataset, group, name and attribute of each attribute."""
        for dataset, group, attributes in self.iter_entities():
            for name, attribute in attributes.items():
                yield dataset, group, name, attribute

    def iter_entities(self) -> Iterator[tuple[str, str, dict[str, StateAttribute]]]:
        """Dataset, group and attributes of each group."""
        for dataset, groups in self.attributes.items():
            for group, attributes in groups.items():
                yield dataset, group, attributes

    def all_attributes(self) -> list[StateAttribute]:
        """The attributes of all groups."""
        return [attribute for *_, attribute in self.iter_attributes()]

    def to_dict(self) -> dict[str, dict[str, dict[str, dict[str, np.ndarray[Any, Any]]]]]:
        """``{dataset: {group: {"id": {"data"}, attribute: {"data"[, "row_ptr"]}}}}``, for the caller to keep."""
        made: dict[str, Any] = {}
        for dataset, group, attributes in self.iter_entities():
            index = self.get_index(dataset, group)
            if len(index):
                columns = {name: attribute.to_dict() for name, attribute in attributes.items()}
                made.setdefault(dataset, {})[group] = {"id": {"data": _narrow(index.ids).copy()}, **columns}
        return made

    def _columns(self, group: str) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
        """The attributes of a group where this state stands, aligned to its index."""
        known = self._at.get(group)
        if known is not None and known[0] == self.timestamp:
            return known[1]
        index = self.get_index(self.name, group)
        state = self._dataset.state_at(group, self.timestamp)
        rows = index[state.ids] if state is not None else np.array([], dtype=np.int64)
        columns = {}
        for name, attribute in self.attributes[self.name][group].items():
            column = state.get(name) if state is not None else None
            columns[name] = _aligned(attribute.data_type, column, rows, len(index))
        self._at[group] = (self.timestamp, columns)  # type: ignore[assignment]
        return columns

    def __repr__(self) -> str:
        return f"TimeProgressingState({self.name!r} at {self.timestamp})"


def _narrow(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Integers as movici holds them, 32 bits, where they fit."""
    fits = not values.size or (values.min() > -(2**31) and values.max() < 2**31)
    return values.astype("<i4") if fits else values.astype("<i8")


def _aligned(data_type: Any, column: Any, rows: np.ndarray[Any, Any], length: int) -> dict[str, np.ndarray[Any, Any]]:
    """A column of a state with a row for each entity of the run, and undefined ones marked."""
    undefined = data_type.undefined
    if column is None:
        data, mask, row_ptr = np.zeros((0, *data_type.unit_shape)), None, np.zeros(1, dtype=np.int64)
        rows = rows[:0]
    else:
        data, mask, row_ptr = column["data"], column.get("mask"), column.get("row_ptr")
    if data_type.py_type is str:
        width = max(data.dtype.itemsize // 4 if data.dtype.kind == "U" else 1, len(undefined))
        data = data.astype(f"<U{width}")
    elif data_type.py_type is int:
        defined = data if mask is None or data_type.csr else data[~mask]
        data = data.astype(_narrow(defined).dtype)
    else:
        data = data.astype("<i1" if data_type.py_type is bool else "<f8")
    if data_type.csr:
        one = np.full((1, *data.shape[1:]), undefined, dtype=data.dtype)
        listed = [one] * length
        for at, row in enumerate(rows):
            is_there = mask is None or not mask[at]
            listed[row] = data[row_ptr[at] : row_ptr[at + 1]] if is_there else one
        values, row_ptr = _joined(listed, data)
        return {"data": values, "row_ptr": row_ptr}
    made = np.full((length, *data.shape[1:]), undefined, dtype=data.dtype)
    made[rows] = data[: len(rows)]
    if mask is not None:
        made[rows[mask]] = undefined
    return {"data": made}


def _joined(
    rows: list[np.ndarray[Any, Any]], like: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    row_ptr = np.zeros(len(rows) + 1, dtype="<i4")
    np.cumsum([len(row) for row in rows], out=row_ptr[1:])
    return (np.concatenate(rows) if rows else like[:0]), row_ptr
