"""The store's handle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from siltstone import _html, _siltstone
from siltstone._handle import StoreHandle, failure
from siltstone._query import QueryResult
from siltstone._reports import (
    BackupReport,
    CompactReport,
    ImportReport,
    Metadata,
    Run,
    Skipped,
    VerifyReport,
    make,
)
from siltstone._table import Table
from siltstone.simulation._attributes import AttributeSpec, schema_from_json, schema_json
from siltstone.simulation._cursor import Cursor
from siltstone.simulation._initial import DatasetFormat, to_json
from siltstone.simulation._state import State
from siltstone.simulation._ticket import Ticket
from siltstone.simulation._time import Time, timestamp_of
from siltstone.simulation._unreported import UnreportedErrors

PathLike = str | os.PathLike[str]
Update = dict[str, Any]


class SimulationDatabase(StoreHandle):
    """A simulation's record in one file: updates of entity groups, and the state at any time.

    Any number of threads may use one handle, and any number of processes one file. It is ready to
    use at once; a file is created if missing. As a context manager it marks the run as
    complete at the end, or as failed if an exception passes.

    Parameters
    ----------
    db_path : path
        The file.
    durability : {"os", "disk", "buffered"}
        What an acknowledged update survives: a crash of the process, a loss of power, or nothing
        (then its error is raised by :meth:`flush` or :meth:`close`, or is a warning if neither is
        called).
    codec : {"raw", "zstd", "lz4", "pco", "auto"}
        How arrays are packed. ``raw`` can be read by any program.
    on_repeat : {"refuse", "replace"}
        What happens to a repeated (timestamp, iteration, dataset).
    read_only : bool
        Whether nothing may be created or changed.
    profile : {"balanced", "throughput", "small"}
        Page cache and log size.
    queue_jobs : int
        How many submitted and buffered writes may wait. The first handle of a process to a file
        decides, here and for the next two.
    queue_policy : {"wait", "refuse"}
        What happens to the next one: it waits for room, which holds an event loop as long, or it is
        a :class:`QueueFullError` at once.
    busy_timeout : float
        Seconds that a write waits for another process.

    Raises
    ------
    NotOursError, TooNewError
        If the file belongs to another program or a newer siltstone; it is left untouched.
    StorageError
        If it cannot be opened or created.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "run.db")
    >>> with SimulationDatabase(path) as db:
    ...     ids, speeds = {"data": [1, 2, 3]}, {"data": [50.0, 60.0, 40.0]}
    ...     _ = db.store_update(0, 0, "roads", {"segments": {"id": ids, "speed": speeds}})
    ...     db.state_at("roads", "segments", 0)["speed"]["data"]
    array([50., 60., 40.])
    """

    def __init__(
        self,
        db_path: PathLike,
        *,
        durability: str = "os",
        codec: str = "raw",
        on_repeat: str = "refuse",
        read_only: bool = False,
        profile: str = "balanced",
        queue_jobs: int = 10_000,
        queue_policy: str = "wait",
        busy_timeout: float = 30.0,
    ) -> None:
        waiting = (queue_jobs, queue_policy, busy_timeout)
        self._inner = _siltstone.SimulationDatabase(
            db_path, durability, codec, on_repeat, read_only, (profile, *waiting)
        )
        if durability == "buffered" and not read_only:
            self._unreported = UnreportedErrors(self._inner)

    # -- life ------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._inner.path)

    @property
    def db_path(self) -> Path:
        """The file, under its documented name."""
        return self.path

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._inner.closed

    @property
    def durability(self) -> str:
        """What an acknowledged update survives."""
        return self._inner.durability

    @property
    def read_only(self) -> bool:
        """Whether this handle can only read."""
        return self._inner.read_only

    def initialize(self) -> None:
        """Do nothing: the file is ready. movici needs this call."""
        self._inner.run()

    def ensure_metadata(self) -> None:
        """Do nothing: the metadata row is written with the first update."""
        self._inner.run()

    def get_metadata(self) -> Metadata | None:
        """The documented metadata row; None before the first write."""
        if not self.sql("SELECT 1 FROM sqlite_schema WHERE name = 'metadata'").rows:
            return None
        found = self.sql("SELECT id, version FROM metadata LIMIT 1").rows
        return Metadata(*found[0]) if found else None

    def flush(self) -> None:
        """Wait until every update that was accepted is in the file.

        Ctrl-C cancels the wait; the updates go on.
        """
        self._inner.flush()

    def close(self) -> None:
        """Flush, mark the run as complete if this handle wrote to it, and let the file go.

        Closing twice is allowed. Ctrl-C while it waits for another process leaves the handle open:
        what was queued is still being written. In a forked child there is nothing to close, and
        nothing is done.
        """
        self._inner.close()

    def __del__(self) -> None:
        if hasattr(self, "_unreported"):
            self._unreported.report()

    def _leave(self, error: BaseException | None) -> None:
        self._inner.close(failure(error))

    # -- writing ---------------------------------------------------------------------------------

    def store_update(
        self,
        timestamp: int,
        iteration: int,
        dataset_name: str,
        entity_data: Mapping[str, Any],
        origin: str | None = None,
    ) -> int:
        """Store one update and wait until it is acknowledged.

        Parameters
        ----------
        timestamp, iteration : int
            With the dataset name the update's identity; any order. Python or numpy integers.
        dataset_name : str
            The dataset that changed.
        entity_data : dict
            ``{group: {attribute: {"data": values}}}``, each group with an attribute ``id``:

            - ``data``: ``[n, ...]``, any array-like of fixed width; one row an entity. NaN,
              -2147483648 in an int32, -128 in an int8 and ``"_udf_"`` in text mean "not given".
            - ``row_ptr`` (or ``indptr``): ``[n + 1]`` integers, for a ragged attribute: entity
              ``i`` owns the rows ``row_ptr[i]:row_ptr[i + 1]`` of ``data``.
            - ``mask``: ``[n]`` bool, true where nothing is given; an earlier value stays. With a
              mask each value is itself, NaN too. A numpy masked array brings its own.
            - ``cleared``: ``[n]`` bool, true where the value becomes undefined.
        origin : str, optional
            The model that the update came from. A text under ``"origin"`` in `entity_data` is
            taken if it is not given, so that what was read can be stored again.

        Returns
        -------
        int
            The row id in the table ``"update"``; 0 if `durability` is ``"buffered"``.

        Raises
        ------
        InvalidError
            For data that contradict themselves, naming dataset, group and attribute.
        ExistsError
            For a repeated (timestamp, iteration, dataset), unless it is to be replaced.
        KeyboardInterrupt
            Ctrl-C is heard while the call waits for another process or for the writer. The exception
            has a note (Python 3.11) that says what became of the update: nothing of it is stored,
            unless it was just done.
        """
        return self._inner.store_update(timestamp, iteration, dataset_name, entity_data, origin)

    def store_updates(self, updates: Iterable[tuple[Any, ...] | Mapping[str, Any]]) -> list[int]:
        """Store several updates in one transaction, all or none.

        Parameters
        ----------
        updates : iterable
            Tuples ``(timestamp, iteration, dataset_name, entity_data[, origin])``, or dicts with
            these keys. A dict without ``entity_data`` has its groups beside the times, as
            :meth:`get_dataset_updates` returns them.

        Returns
        -------
        list of int
            Their row ids.
        """
        return self._inner.store_updates(updates)

    def submit_update(
        self,
        timestamp: int,
        iteration: int,
        dataset_name: str,
        entity_data: Mapping[str, Any],
        origin: str | None = None,
    ) -> Ticket:
        """Hand an update to the writer and return at once.

        The arrays are copied before it returns. See :meth:`store_update`; errors of the data are
        raised here, all others by the ticket.

        Up to 10,000 writes wait for the writer. When so many do, this call waits for room: an event
        loop that may get that far ahead calls it in a thread (``await asyncio.to_thread(
        db.submit_update, ...)``), or awaits its tickets as it goes. Awaiting a ticket never holds
        the loop.
        """
        return Ticket(self._inner.submit_update(timestamp, iteration, dataset_name, entity_data, origin))

    def resume_from(self, timestamp: Time) -> int:
        """Remove all updates after a time, in one transaction, to restart from a checkpoint.

        Parameters
        ----------
        timestamp : int, str, date, datetime or numpy.datetime64
            As in :meth:`state_at`.

        Returns
        -------
        int
            How many were removed.
        """
        return self._inner.resume_from(timestamp_of(timestamp))

    # -- reading ---------------------------------------------------------------------------------

    def get_datasets(self) -> list[str]:
        """The names of the datasets that have updates, sorted."""
        return self._inner.datasets()

    def get_groups(self, dataset_name: str) -> list[str]:
        """The entity groups of a dataset: those of its initial data, then those of its updates."""
        return self._inner.groups(dataset_name)

    def get_timestamps(self, dataset_name: str) -> list[int]:
        """The timestamps at which a dataset has updates, rising; none for an unknown name."""
        return self._inner.timestamps(dataset_name)

    def get_update_count(self, dataset_name: str | None = None) -> int:
        """The number of updates of a dataset, or of all."""
        return self._inner.update_count(dataset_name or None)

    def get_dataset_updates(self, dataset_name: str) -> list[Update]:
        """All updates of a dataset in the order of (timestamp, iteration).

        Returns
        -------
        list of dict
            ``{"timestamp", "iteration"[, "origin"], group: {attribute: {"data"[, "row_ptr"]
            [, "mask"][, "cleared"]}}}``: arrays with the dtype, shape and byte order that they were
            stored with, writeable. Empty for an unknown name.

        Notes
        -----
        No two arrays overlap, but those of 4 KiB to 1 MiB lie in common pieces of memory of 8 MiB,
        which are given back when the last array in them goes: ``copy()`` an array to keep it
        alone. The arrays of :meth:`iter_updates` have memory of their own.
        """
        return self._inner.updates(dataset_name)

    def iter_updates(self, dataset_name: str, start: int | None = None, stop: int | None = None) -> Iterator[Update]:
        """As :meth:`get_dataset_updates`, with only some updates in memory at a time.

        Parameters
        ----------
        dataset_name : str
            The dataset.
        start, stop : int, optional
            The first and the last timestamp, both included.
        """
        return self._inner.iter_updates(dataset_name, start, stop)

    def state_at(self, dataset_name: str, entity_group: str, timestamp: Time) -> State:
        """The state of an entity group at a time.

        For each entity and attribute the last value given at or before it. Before the first update
        stands the initial state (as at -1), after the last one the last. The cost does not grow
        with the length of the run.

        Parameters
        ----------
        dataset_name, entity_group : str
            The dataset and the group.
        timestamp : int, str, date, datetime or numpy.datetime64
            A timestamp of the run. A text is an integer or an ISO 8601 time; that, a date and a
            datetime (UTC if it has no zone) need a timeline: see :meth:`set_timeline`.

        Raises
        ------
        NotFoundError
            For a group that the dataset never has.
        InvalidError
            For a time that is none, or a calendar time if the file has no timeline.
        """
        at, state = self._inner.state_at(dataset_name, entity_group, timestamp_of(timestamp))
        return State(state, dataset_name, entity_group, at, self._inner)

    def cursor(self, dataset_name: str, entity_group: str, timestamp: Time = -1) -> Cursor:
        """A cursor in time: it moves forwards and backwards. See :meth:`state_at`."""
        inner = self._inner.cursor(dataset_name, entity_group, timestamp_of(timestamp))
        return Cursor(inner, dataset_name, entity_group, self._inner)

    def sql(self, query: str) -> QueryResult:
        """Run one SQL statement on a snapshot; the connection can only read.

        ``update`` is a keyword of SQL: quote the table's name, ``SELECT * FROM "update"``.
        ``silt_items(dtype, shape, codec, data)`` shows an array as a JSON list.
        """
        return QueryResult(self._inner.sql(query), self._inner.sql_table(query))

    def updates_table(self, dataset_name: str, entity_group: str) -> Table:
        """All updates of an entity group as one long table.

        Columns ``timestamp``, ``iteration``, ``id``, and one an attribute, null where the update
        says nothing of it.
        """
        inner = self._inner.updates_table(dataset_name, entity_group)
        return Table(inner, f"updates of {dataset_name}/{entity_group}")

    def states_table(self, dataset_name: str, entity_group: str, timestamps: Iterable[int] | None = None) -> Table:
        """The states of an entity group at some timestamps as one long table.

        Columns ``timestamp``, ``id``, and one an attribute, null where it is undefined. Without
        `timestamps`: at each at which the dataset has updates.
        """
        times = None if timestamps is None else list(timestamps)
        inner = self._inner.states_table(dataset_name, entity_group, times)
        return Table(
            inner,
            f"states of {dataset_name}/{entity_group}",
            lambda: len(self.get_timestamps(dataset_name) if times is None else times),
        )

    # -- initial datasets ------------------------------------------------------------------------

    def store_initial_dataset(
        self,
        name: str,
        data: Mapping[str, Any] | bytes,
        format: DatasetFormat | str | None = None,
        *,
        replace: bool = False,
    ) -> int:
        """Store an initial dataset: part of the record, and the state before the first update.

        Parameters
        ----------
        name : str
            The dataset.
        data : dict or bytes
            A dict (kept as JSON text, in which NaN in a list is null, movici's undefined value, while a single NaN
            and infinities stay; or as arrays if `format` is ``ENTITY_BASED``), or bytes.
        format : DatasetFormat, optional
            ``UNSTRUCTURED`` for a dict and ``BINARY`` for bytes unless given. Bytes of a JSON text
            may be stored as ``UNSTRUCTURED``: they are kept as they are.
        replace : bool
            Whether one of the same name may be replaced.

        Returns
        -------
        int
            Its row id.
        """
        raw = bytes(data) if isinstance(data, (bytes, bytearray, memoryview)) else None
        if format is None:
            format = DatasetFormat.UNSTRUCTURED if raw is None else DatasetFormat.BINARY
        name_of_format = DatasetFormat(getattr(format, "value", str(format).lower())).name
        value: Any = data if raw is None else raw
        if name_of_format == "BINARY" and raw is None:
            raise TypeError(f"initial dataset {name!r}: a binary one is of bytes, not {type(data).__name__}")
        if name_of_format == "UNSTRUCTURED" and raw is None:
            value = to_json(data)
        return self._inner.store_initial_dataset(name, name_of_format, value, replace)

    def get_initial_dataset(self, name: str) -> dict[str, Any] | bytes | None:
        """An initial dataset: a dict, or the bytes of a binary one; None if there is none."""
        found = self._inner.initial_dataset(name)
        if found is None:
            return None
        format, data = found
        value: dict[str, Any] | bytes = json.loads(data) if format == "UNSTRUCTURED" else data
        return value

    def get_initial_datasets(self) -> list[str]:
        """The names of the initial datasets, in the order they were stored."""
        return self._inner.initial_datasets()

    def get_all_initial_datasets(self) -> dict[str, dict[str, Any] | bytes]:
        """All initial datasets by name."""
        found = ((name, self.get_initial_dataset(name)) for name in self.get_initial_datasets())
        return {name: data for name, data in found if data is not None}

    def has_initial_datasets(self) -> bool:
        """Whether there is any."""
        return bool(self._inner.initial_datasets())

    # -- the run ---------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """What the file knows of its run."""
        return make(Run, self._inner.run())

    @property
    def status(self) -> str:
        """``"unknown"``, ``"running"`` (it goes on, or it was killed), ``"complete"``, ``"failed"``."""
        return self.run.status

    def mark_complete(self) -> None:
        """Mark the run as complete. The next update marks it as running."""
        self._inner.mark_ended()

    def mark_failed(self, error: str) -> None:
        """Mark the run as failed, saying why."""
        self._inner.mark_ended(error)

    def set_timeline(self, reference: float, time_scale: float = 1.0, start_time: int = 0) -> None:
        """Say what timestamps mean: ``reference + t * time_scale`` seconds since 1970-01-01 UTC."""
        self._inner.set_timeline(reference, time_scale, start_time)

    @property
    def schema(self) -> list[AttributeSpec]:
        """The attribute types kept with the file."""
        return schema_from_json(self._inner.schema())

    @schema.setter
    def schema(self, schema: Any) -> None:
        self._inner.set_schema(schema_json(schema) or b"[]")

    # -- the file --------------------------------------------------------------------------------

    def verify(self) -> VerifyReport:
        """Check SQLite's pages, the foreign keys, and the checksum of every array."""
        return make(VerifyReport, self._inner.verify())

    def backup(self, target: PathLike, progress: Callable[[int, int], object] | None = None) -> BackupReport:
        """Copy a snapshot of the live file to `target`, verified before it gets its name.

        Parameters
        ----------
        target : path
            A file that must not exist.
        progress : callable, optional
            Gets pages done and pages in all; what it raises stops the backup.
        """
        return make(BackupReport, self._inner.backup(target, progress))

    def backup_into(self, folder: PathLike, keep: int = 7) -> BackupReport:
        """Make a backup in `folder` under a name of its own, and keep the newest `keep` of those."""
        return make(BackupReport, self._inner.backup_into(folder, keep))

    def stats(self) -> dict[str, int]:
        """Counters since this process opened the file."""
        return self._inner.stats()

    def compact(self, progress: Callable[[int, int], object] | None = None) -> CompactReport:
        """Pack the arrays of each attribute together: what is finished takes much less.

        It is read through every call as before. SQLite alone refuses ``numpy_array`` then, with ``no such function:
        silt_raw``, until :meth:`siltstone.Handle.expand` gives the arrays their bytes back. A file that is written
        with ``codec="auto"`` is compacted when it is closed. `progress` gets arrays done and in all; what it raises
        stops the work.
        """
        return CompactReport(*self._inner.compact(progress))

    def vacuum(self) -> int:
        """Remove arrays that nothing uses and give the space back; the bytes freed."""
        return self._inner.vacuum()

    def build_keyframes(self) -> int:
        """Build the keyframes that are missing, so that seeks are short; how many were written."""
        return self._inner.build_keyframes()

    def import_json(
        self,
        init_dir: PathLike | None = None,
        updates_dir: PathLike | None = None,
        *,
        schema: Any = None,
        workers: int = 0,
        update_pattern: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> ImportReport:
        """Import folders of movici's JSON files.

        A malformed file is named in the report and the rest goes on. What is in the database
        already is compared: the same stays unchanged, so that the same call resumes an interrupted
        import, and what differs is named as a conflict and left out.

        Parameters
        ----------
        init_dir, updates_dir : path, optional
            Folders of ``<dataset>.json`` and of ``t<timestamp>_<iteration>_<dataset>.json``.
        schema : list of AttributeSpec or dict, JSON text, or path of a JSON file, optional
            Attribute types. Without them types are inferred from the values.
        workers : int
            Threads that parse; 0 for as many as there are cores.
        update_pattern : str, optional
            A regular expression with the groups ``timestamp``, ``iteration`` and ``dataset``, if the
            files have other names.
        progress : callable, optional
            Gets files done and files in all; what it raises stops the import.
        """
        report = self._inner.import_json(
            (init_dir, updates_dir), schema_json(schema), workers, update_pattern, progress
        )
        return json_report(report)

    def _shown(self) -> str:
        return f"{str(self.path)!r}, {'closed' if self.closed else 'open'}"

    def _repr_html_(self) -> str:
        if self.closed:
            return _html.table(f"{self.path.name}: closed", [], [], 0)
        names = self.get_datasets()
        rows = []
        for name in names:
            times = self.get_timestamps(name)
            span = f"{times[0]} to {times[-1]}" if times else ""
            rows.append((name, self.get_update_count(name), span, ", ".join(self.get_groups(name))))
        title = f"{self.path.name}: {self.get_update_count():,} updates, {self.status}"
        return _html.table(title, ["dataset", "updates", "timestamps", "groups"], rows, len(names))


def json_report(report: dict[str, Any]) -> ImportReport:
    """The report of an import of JSON files."""
    report["skipped"] = [Skipped(*skipped) for skipped in report["skipped"]]
    return make(ImportReport, report)
