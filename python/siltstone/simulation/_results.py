"""Recorded runs as they are looked at afterwards, whatever they were recorded in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siltstone import _html, _json, _siltstone
from siltstone._handle import StoreHandle
from siltstone.simulation._attributes import (
    AttributeInfo,
    AttributeSpec,
    schema_from_json,
    schema_json,
    timeline,
)
from siltstone.simulation._cursor import Cursor
from siltstone.simulation._progress import TimeProgressingState
from siltstone.simulation._state import State
from siltstone.simulation._time import Time, timestamp_of

PathLike = str | os.PathLike[str]

#: The documented names of update files.
UPDATE_PATTERN = r"t(?P<timestamp>\d+)_(?P<iteration>\d+)_(?P<dataset>\w+)\.json"


class _Results(StoreHandle):
    """What both kinds of results can do."""

    _inner: _siltstone.Results
    _init_data_dir: Path | None

    @property
    def init_data_dir(self) -> Path | None:
        """The folder of the initial state, if one was given."""
        return self._init_data_dir

    @property
    def datasets(self) -> dict[str, Path | None]:
        """The datasets by name, each with its initial file if it has one."""
        return {name: self._init_file(name) for name in self.get_datasets()}

    def _init_file(self, name: str) -> Path | None:
        if self._init_data_dir is None:
            return None
        path = self._init_data_dir / f"{name}.json"
        return path if path.is_file() else None

    def get_datasets(self) -> list[str]:
        """The datasets of entities: those with initial data, then those that only have updates."""
        return self._inner.datasets()

    def get_timestamps(self, dataset_name: str) -> list[int]:
        """The timestamps at which a dataset has updates, rising; none for an unknown name."""
        return self._inner.timestamps(dataset_name)

    def get_dataset(self, name: str) -> ResultDataset:
        """One dataset.

        Raises
        ------
        NotFoundError
            For an unknown name.
        InvalidError
            For initial data that are no entities and have no updates.
        """
        return ResultDataset(self._inner, self._inner.dataset(name))

    @property
    def format(self) -> str:
        """What the run was recorded in: ``"sqlite"`` or ``"json"``."""
        return self._inner.format

    @property
    def schema(self) -> list[AttributeSpec]:
        """The attribute types in use."""
        return schema_from_json(self._inner.schema())

    def close(self) -> None:
        """Let the run go."""
        self._inner.close()

    def _leave(self, error: BaseException | None) -> None:
        self.close()

    def _shown(self) -> str:
        return repr(str(self._inner.path))

    def _repr_html_(self) -> str:
        names = self.get_datasets()
        rows = ((name, len(self.get_timestamps(name))) for name in names)
        return _html.table(type(self).__name__, ["dataset", "timestamps"], rows, len(names))


class SimulationResults(_Results):
    """A run that was recorded as a folder of JSON files.

    Parameters
    ----------
    init_data_dir : path or None
        Folder of ``<dataset>.json`` files: the initial state.
    updates_dir : path
        Folder of update files.
    update_pattern : str
        A regular expression for their names, with the groups ``timestamp``, ``iteration`` and
        ``dataset``.
    attributes : list of AttributeSpec
        Attribute types; without them types are inferred from the values.
    timeline_info : TimelineInfo, optional
        What timestamps mean, for times as text or datetime.

    Raises
    ------
    CorruptError
        Naming the first malformed file.
    """

    def __init__(
        self,
        init_data_dir: PathLike | None,
        updates_dir: PathLike,
        update_pattern: str = UPDATE_PATTERN,
        attributes: Any = (),
        timeline_info: Any = None,
    ) -> None:
        self._init_data_dir = None if init_data_dir is None else Path(init_data_dir)
        self._inner = _siltstone.Results(
            "json",
            updates_dir,
            init_data_dir,
            schema_json(attributes),
            timeline(timeline_info),
            update_pattern,
        )


class SQLiteSimulationResults(_Results):
    """A run that was recorded in a database, ours or one of movici.

    Parameters
    ----------
    database_path : path
        The file.
    init_data_dir : path, optional
        Folder of ``<dataset>.json`` files, if the database holds no initial data.
    attributes, timeline_info
        As in :class:`SimulationResults`.
    """

    def __init__(
        self,
        database_path: PathLike,
        init_data_dir: PathLike | None = None,
        attributes: Any = (),
        timeline_info: Any = None,
    ) -> None:
        self._init_data_dir = None if init_data_dir is None else Path(init_data_dir)
        self._inner = _siltstone.Results(
            "sqlite",
            database_path,
            init_data_dir,
            schema_json(attributes),
            timeline(timeline_info),
            None,
        )

    @property
    def db_path(self) -> Path:
        """The file."""
        return Path(self._inner.path)

    @property
    def use_db_init_data(self) -> bool:
        """Whether the initial state is the database's own and not that of ``init_data_dir``."""
        return self._inner.has_own_initial_data


class ResultDataset:
    """One dataset of a recorded run; get it from ``get_dataset``."""

    def __init__(self, results: _siltstone.Results, inner: _siltstone.ResultDataset) -> None:
        self._results = results
        self._inner = inner
        self._state: TimeProgressingState | None = None

    @property
    def name(self) -> str:
        """The name."""
        return self._inner.name

    @property
    def metadata(self) -> dict[str, Any]:
        """Everything that the initial data say beside the entities."""
        metadata: dict[str, Any] = _json.loads(self._inner.metadata())
        return metadata

    @property
    def state(self) -> TimeProgressingState:
        """All groups at one time, as movici's readers have it: ``state.move_to(t)``, ``state.to_dict()``."""
        if self._state is None:
            self._state = TimeProgressingState(self)
        return self._state

    @property
    def groups(self) -> list[str]:
        """The entity groups."""
        return self._inner.groups()

    def attributes(self, entity_group: str) -> list[AttributeInfo]:
        """What is known of the attributes of a group; none for an unknown group."""

        def make(info: dict[str, Any]) -> AttributeInfo:
            special = info["special"]
            info["special"] = None if special is None else _json.loads(special)
            return AttributeInfo(**{**info, "unit_shape": tuple(info["unit_shape"])})

        return [make(info) for info in self._inner.attributes(entity_group)]

    @property
    def updates(self) -> list[dict[str, Any]]:
        """All updates, as ``SimulationDatabase.get_dataset_updates`` returns them."""
        return list(self.iter_updates())

    def iter_updates(self) -> Iterator[dict[str, Any]]:
        """As :attr:`updates`, with only some of them in memory at a time."""
        return self._results.updates(self.name)

    def get_timestamps(self, entity_group: str | None = None) -> list[int]:
        """The timestamps at which the dataset, or one of its groups, has updates.

        ``[0]`` for a group that has none; no timestamp for an unknown group.
        """
        return self._inner.timestamps(entity_group)

    def cursor(self, entity_group: str, timestamp: Time = -1) -> Cursor:
        """A cursor in time: it moves forwards and backwards."""
        inner = self._inner.cursor(entity_group, timestamp_of(timestamp))
        return Cursor(inner, self.name, entity_group, self._results)

    def state_at(self, entity_group: str, timestamp: Time) -> State | None:
        """The state of a group at a time; None for an unknown group. See :meth:`slice`."""
        found = self._inner.state_at(entity_group, timestamp_of(timestamp))
        return found and State(found[1], self.name, entity_group, found[0], self._results)

    def slice(
        self,
        entity_group: str,
        timestamp: Time | None = None,
        attribute: str | None = None,
        entity_selector: Any = None,
        key: str = "id",
    ) -> State | dict[str, Any] | None:
        """Cut the run by time, by attribute or by entity: give exactly one of the three.

        Parameters
        ----------
        entity_group : str
            The group.
        timestamp : int, str, date, datetime or numpy.datetime64, optional
            The state of all attributes then: ``{"id": {"data"}, attribute: {"data"[, "row_ptr"]
            [, "mask"]}}``. -1 is the initial state; after the end stands the last. A text is an
            integer or an ISO 8601 time; it, a date and a datetime (UTC if it has no zone) need a
            timeline.
            None is returned for an unknown group.
        attribute : str, optional
            One attribute at each timestamp of the group: ``{"timestamps", "id", "data": [{"data"
            [, "row_ptr"][, "mask"]}, ...]}``; empty lists if it is unknown.
        entity_selector : int, float or str, optional
            All attributes of one entity at each timestamp of the group: ``{"timestamps", "data":
            {attribute: [value, ...]}}``, where a value is a scalar, a row, a 1-D array for a ragged
            attribute, and None where it is undefined.
        key : str
            The attribute that `entity_selector` is a value of; the first entity that has it at
            timestamp 0 is meant.

        Raises
        ------
        InvalidError
            For a time that is none, or a `key` whose values are lists.
        NotFoundError
            For an entity that is not there.
        """
        given = [x is not None for x in (timestamp, attribute, entity_selector)]
        if sum(given) != 1:
            few = "few" if sum(given) == 0 else "many"
            raise ValueError(f"too {few} parameters: give one of timestamp, attribute and entity_selector")
        if timestamp is not None:
            return self.state_at(entity_group, timestamp)
        if attribute is not None:
            timestamps, ids, data = self._inner.attribute_history(entity_group, attribute)
            if not timestamps:
                return {"timestamps": [], "id": [], "data": []}
            return {"timestamps": timestamps, "id": ids, "data": data}
        timestamps, columns = self._inner.entity_history(entity_group, key, entity_selector)
        # Each attribute has a row a timestamp, as a state has a row an entity.
        rows = State(columns)
        return {"timestamps": timestamps, "data": {name: rows.rows(name) for name in columns}}

    def __repr__(self) -> str:
        return f"ResultDataset({self.name!r})"

    def _repr_html_(self) -> str:
        groups = self.groups
        times = self.get_timestamps()
        span = f", timestamps {times[0]} to {times[-1]}" if times else ""
        rows = ((group, ", ".join(info.name for info in self.attributes(group))) for group in groups)
        return _html.table(f"{self.name}{span}", ["group", "attributes"], rows, len(groups))


def detect_results_format(path: PathLike) -> str:
    """What a run was recorded in, by what is there: ``"sqlite"`` or ``"json"``.

    A file that opens as a database is one, whatever its name; a folder with a database of a
    simulation in it is one too; any other folder is one of JSON.
    """
    return _siltstone.detect_results_format(path)


def get_simulation_results(
    init_data_dir: PathLike | None = None,
    updates_path: PathLike | None = None,
    attributes: Any = (),
    timeline_info: Any = None,
    update_pattern: str = UPDATE_PATTERN,
) -> SimulationResults | SQLiteSimulationResults:
    """Open a recorded run, a database or a folder of JSON files, whichever is there.

    Parameters
    ----------
    init_data_dir : path, optional
        Folder of ``<dataset>.json`` files: the initial state.
    updates_path : path
        A database, a folder that holds one, or a folder of update files.
    attributes, timeline_info, update_pattern
        As in :class:`SimulationResults`.
    """
    if updates_path is None:
        raise TypeError("updates_path is missing: a database or a folder of update files")
    inner = _siltstone.Results(
        "detect",
        updates_path,
        init_data_dir,
        schema_json(attributes),
        timeline(timeline_info),
        update_pattern,
    )
    results: SimulationResults | SQLiteSimulationResults
    if inner.format == "json":
        results = SimulationResults.__new__(SimulationResults)
    else:
        results = SQLiteSimulationResults.__new__(SQLiteSimulationResults)
    results._inner = inner
    results._init_data_dir = None if init_data_dir is None else Path(init_data_dir)
    return results
