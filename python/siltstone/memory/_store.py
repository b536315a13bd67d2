"""The store's handle."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone._handle import StoreHandle
from siltstone._query import QueryResult
from siltstone._reports import BackupReport, CompactReport, VerifyReport, make, skipped_reports
from siltstone.memory import _records
from siltstone.memory._connection import Connection
from siltstone.memory._errors import documented, documented_errors
from siltstone.memory._recall import Recalling
from siltstone.memory._records import Concept, Episode, ImportReport, LearningEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

PathLike = str | os.PathLike[str]


class SQLiteStorage(StoreHandle, Recalling):
    """Episodes, concepts and learning events in a file. Threads share it; other processes may use the file too.

    Each call is a transaction of its own; :meth:`transaction` makes one of several. Leaving the ``with`` block closes
    the file, after a backup if one is due. After a fork the child opens the file anew.

    Parameters
    ----------
    db_path : path
        The file. It is made, with its folder, if it is not there; an empty file is a new one.
    backup_interval : float
        Seconds after which a backup is due.
    max_backups : int
        How many backups stay beside the file, 1 or more.
    enable_wal : bool
        The write-ahead log is always used; ``False`` warns.
    connection_timeout : float
        Seconds that a write waits for another process.
    durability : {"os", "disk"}
        What a call that has returned survives: a crash of the process, or a loss of power.
    read_only : bool
        Whether nothing may be made or changed.

    Raises
    ------
    SQLiteStorageError
        For a file that is no database, or one of a newer siltstone or another program: it is left as it is.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> path = os.path.join(tempfile.mkdtemp(), "agent.db")
    >>> with SQLiteStorage(path) as store:
    ...     seen = {"observation": np.arange(3.0), "action": "forward", "reward": 1.0}
    ...     id = store.store_episode(seen, 0.85, "maze_1", metadata={"difficulty": "medium"})
    ...     episode = store.retrieve_episode(id)
    >>> episode.data["observation"], episode.metadata
    (array([0., 1., 2.]), {'difficulty': 'medium'})
    """

    #: The version of the tables.
    SCHEMA_VERSION = 1

    @documented_errors
    def __init__(
        self,
        db_path: PathLike = "godly_ai.db",
        backup_interval: float = 3600,
        max_backups: int = 10,
        enable_wal: bool = True,
        connection_timeout: float = 30.0,
        *,
        durability: str = "os",
        read_only: bool = False,
    ) -> None:
        if not enable_wal:
            warnings.warn("siltstone always uses the write-ahead log", stacklevel=3)
        self.db_path = Path(db_path)
        self.backup_interval = backup_interval
        self.max_backups = max_backups
        self.enable_wal = enable_wal
        self.connection_timeout = connection_timeout
        self._read_only = read_only
        self._backs_up_at_close = not read_only
        self._last: float | None = None
        self._inner = _siltstone.MemoryStore(db_path, connection_timeout, durability, read_only)
        self._recall = _siltstone.MemoryRecall(self._inner)

    # -- transactions ----------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[Connection]:
        """Make one transaction of all that is called in the block, in this thread: all of it is in the file, or
        nothing.

        A block inside another one can fail by itself. Other threads and processes see nothing of it before its end, and
        their writes wait for it. A block that Ctrl-C ends is rolled back, at whatever instant it comes.

        Returns
        -------
        context manager
            Gives a ``Connection`` with ``execute`` and ``executemany``, for SQL of your own on the documented tables.

        Examples
        --------
        >>> import os, tempfile
        >>> store = SQLiteStorage(os.path.join(tempfile.mkdtemp(), "agent.db"))
        >>> with store.transaction() as conn:
        ...     id = store.store_episode([1, 2], 0.5, "maze")
        ...     changed = conn.execute("UPDATE episodes SET performance_score = 0.75").rowcount
        >>> store.retrieve_episode(id).performance_score, changed
        (0.75, 1)
        """
        return _siltstone.MemoryTransaction(self._inner, Connection(self._inner), documented)

    _transaction = transaction

    # -- episodes --------------------------------------------------------------------------------

    @documented_errors
    def store_episode(
        self,
        experience_data: Any,
        performance_score: float,
        context_hash: str,
        timestamp: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        embedding: ArrayLike | None = None,
        priority: float | None = None,
    ) -> int:
        """Store an episode.

        Parameters
        ----------
        experience_data : array or dict
            An array; or numbers, texts, bytes, booleans, ``None``, and dicts, lists and tuples of such and of arrays.
        performance_score : float
            How well it went; not NaN. A ``Decimal`` is the nearest float.
        context_hash : str
            In what context.
        timestamp : float, optional
            In seconds since 1970-01-01 UTC; now, unless given.
        metadata : dict, optional
            What else is known of it, as JSON has it.
        embedding : array, optional
            One dimension: where it lies among others, for :meth:`search_similar` and :meth:`recall`.
        priority : float, optional
            How much is to be learned from it, for :meth:`sample_episodes`; 1 unless given.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        SQLiteStorageError
            For what cannot be stored; nothing is written.
        """
        return self._inner.store_episode(
            experience_data, performance_score, context_hash, timestamp, metadata, embedding, priority
        )

    @documented_errors
    def store_episodes(self, episodes: Iterable[Mapping[str, Any]]) -> list[int]:
        """Store episodes, all or none: dicts of the parameters of :meth:`store_episode`. Their ids."""
        return self._inner.store_episodes([dict(episode) for episode in episodes])

    @documented_errors
    def retrieve_episode(self, episode_id: int) -> Episode | None:
        """The episode of an id, or ``None``."""
        row = self._inner.retrieve_episode(episode_id)
        return None if row is None else _records.episode(row)

    @documented_errors
    def get_episodes_by_context(
        self, context_hash: str, limit: int = 100, min_score: float | None = None
    ) -> list[Episode]:
        """The latest episodes of a context, of a score of at least `min_score`; a negative `limit` is none."""
        found = self._inner.episodes_by_context(context_hash, limit, min_score)
        return [_records.episode(row) for row in found]

    @documented_errors
    def get_recent_episodes(self, time_window: float = 3600.0, limit: int = 100) -> list[Episode]:
        """The latest episodes of the last `time_window` seconds, and of what is still to come."""
        return [_records.episode(row) for row in self._inner.recent_episodes(time_window, limit)]

    @documented_errors
    def update_episode(
        self,
        episode_id: int,
        *,
        experience_data: Any = None,
        performance_score: float | None = None,
        context_hash: str | None = None,
        timestamp: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding: ArrayLike | None = None,
    ) -> bool:
        """Change what is given of an episode; whether it is there."""
        fields = {
            "experience_data": experience_data,
            "performance_score": performance_score,
            "context_hash": context_hash,
            "timestamp": timestamp,
            "metadata": metadata,
            "embedding": embedding,
        }
        return self._inner.update_episode(episode_id, fields)

    @documented_errors
    def delete_episodes(self, episode_ids: Iterable[int]) -> int:
        """Remove episodes in one transaction; how many were there."""
        return self._inner.delete_episodes(list(episode_ids))

    def delete_episode(self, episode_id: int) -> bool:
        """Remove an episode; whether it was there."""
        return self.delete_episodes([episode_id]) == 1

    # -- concepts --------------------------------------------------------------------------------

    @documented_errors
    def store_concept(
        self,
        name: str,
        embedding: ArrayLike,
        metadata: Mapping[str, Any] | None = None,
        creation_time: float | None = None,
    ) -> int:
        """Store a concept, or another embedding and metadata for the one of that name.

        Parameters
        ----------
        name : str
            Its name, which no other has.
        embedding : array
            One dimension of finite real numbers; the dtype is kept.
        metadata : dict, optional
            What else is known of it; what was known before goes.
        creation_time : float, optional
            In seconds since 1970-01-01 UTC; now, unless given. A concept that is there keeps its own.

        Returns
        -------
        int
            Its id.
        """
        return self._inner.store_concept(name, embedding, metadata, creation_time)

    @documented_errors
    def store_concepts(self, concepts: Iterable[Mapping[str, Any]]) -> list[int]:
        """Store concepts, all or none: dicts of the parameters of :meth:`store_concept`. Their ids."""
        return self._inner.store_concepts([dict(concept) for concept in concepts])

    @documented_errors
    def retrieve_concept(self, concept_id: int) -> Concept | None:
        """The concept of an id, or ``None``. This is not counted."""
        row = self._inner.retrieve_concept(concept_id)
        return None if row is None else _records.concept(row)

    @documented_errors
    def retrieve_concept_by_name(self, name: str) -> Concept | None:
        """The concept of a name, or ``None``; it is counted, and given as it is then."""
        row = self._inner.retrieve_concept_by_name(name)
        return None if row is None else _records.concept(row)

    @documented_errors
    def search_concepts(self, query: str, limit: int = 10) -> list[Concept]:
        """Concepts whose name has `query` in it, as SQL's ``LIKE`` sees it: the most asked for first, then newest."""
        return [_records.concept(row) for row in self._inner.search_concepts(query, limit)]

    @documented_errors
    def update_concept(
        self,
        concept_id: int,
        *,
        name: str | None = None,
        embedding: ArrayLike | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> bool:
        """Change what is given of a concept; whether it is there."""
        fields = {"name": name, "embedding": embedding, "metadata": metadata}
        return self._inner.update_concept(concept_id, fields)

    @documented_errors
    def delete_concepts(self, concept_ids: Iterable[int]) -> int:
        """Remove concepts and their relationships in one transaction; how many concepts were there."""
        return self._inner.delete_concepts(list(concept_ids))

    def delete_concept(self, concept_id: int) -> bool:
        """Remove a concept and its relationships; whether it was there."""
        return self.delete_concepts([concept_id]) == 1

    @documented_errors
    def add_concept_relationship(
        self,
        source_id: int,
        target_id: int,
        relationship_type: str,
        strength: float = 1.0,
        *,
        strict: bool = False,
    ) -> bool:
        """Store a relationship, or another strength for the one of that type between the two.

        Parameters
        ----------
        source_id, target_id : int
            The concepts, which must be there.
        relationship_type : str
            Its type.
        strength : float
            Any finite number; with `strict` one from 0 to 1.

        Returns
        -------
        bool
            True.
        """
        self._inner.add_relationships([(source_id, target_id, relationship_type, strength)], strict)
        return True

    @documented_errors
    def add_concept_relationships(self, relationships: Iterable[tuple[Any, ...]], *, strict: bool = False) -> None:
        """Store relationships in one transaction, all or none: ``(source_id, target_id, type[, strength])``."""
        edges = [tuple(edge) if len(edge) == 4 else (*edge, 1.0) for edge in relationships]
        self._inner.add_relationships(edges, strict)

    @documented_errors
    def get_concept_relationships(
        self, concept_id: int, relationship_type: str | None = None, *, incoming: bool = False
    ) -> list[tuple[int, str, float]]:
        """``(target_id, type, strength)`` of a concept's relationships, the strongest first; or, `incoming`, of those
        that lead to it, with the source's id.
        """
        return self._inner.relationships(concept_id, relationship_type or None, incoming)

    @documented_errors
    def delete_concept_relationships(self, source_id: int, target_id: int, relationship_type: str | None = None) -> int:
        """Remove the relationships from one concept to another, of one type or of all; how many there were."""
        return self._inner.delete_relationships(source_id, target_id, relationship_type)

    # -- learning events -------------------------------------------------------------------------

    @documented_errors
    def store_learning_event(
        self,
        task_type: str,
        performance_delta: float,
        strategy_used: str,
        parameters: Mapping[str, Any] | None = None,
        timestamp: float | None = None,
    ) -> int:
        """Store which strategy was used for what, and by how much it helped; the id of the event."""
        return self._inner.store_event(task_type, performance_delta, strategy_used, parameters, timestamp)

    @documented_errors
    def store_learning_events(self, events: Iterable[Mapping[str, Any]]) -> list[int]:
        """Store events in one transaction, all or none: dicts of the parameters of :meth:`store_learning_event`."""
        return self._inner.store_events([dict(event) for event in events])

    @documented_errors
    def get_learning_events_by_task(
        self, task_type: str, limit: int = 100, min_performance_delta: float | None = None
    ) -> list[LearningEvent]:
        """The latest events of a task, of a delta of at least `min_performance_delta`."""
        found = self._inner.events_by_task(task_type, limit, min_performance_delta)
        return [_records.event(row) for row in found]

    @documented_errors
    def get_best_strategies(
        self, task_type: str, limit: int = 5, *, include_negative: bool = False
    ) -> list[tuple[str, float, int]]:
        """``(strategy, mean delta, uses)`` of a task, the best first.

        As documented, only events that helped count; `include_negative` counts all, and so gives the mean of all uses.
        """
        return self._inner.best_strategies(task_type, limit, include_negative)

    @documented_errors
    def update_learning_event(
        self,
        event_id: int,
        *,
        performance_delta: float | None = None,
        strategy_used: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> bool:
        """Change what is given of an event; whether it is there."""
        fields = {
            "performance_delta": performance_delta,
            "strategy_used": strategy_used,
            "parameters": parameters,
        }
        return self._inner.update_event(event_id, fields)

    @documented_errors
    def delete_learning_events(self, event_ids: Iterable[int]) -> int:
        """Remove events in one transaction; how many were there."""
        return self._inner.delete_events(list(event_ids))

    # -- the file --------------------------------------------------------------------------------

    @documented_errors
    def create_backup(self, backup_path: PathLike | None = None) -> Path:
        """Copy the file as it is now; the copy is verified before it has its name.

        Parameters
        ----------
        backup_path : path, optional
            Its name. One that is there is replaced if it is a backup of this store, as it was made, and refused
            otherwise.
            Without it the copy is ``<stem>_backup_<seconds>.db`` beside the file, and the `max_backups` of these that
            were made last stay.
        """
        return Path(self._inner.create_backup(backup_path, self.max_backups)["path"])

    @property
    def _last_backup(self) -> float:
        """When the last backup was made, in seconds since 1970-01-01 UTC; the file knows, unless it was set here."""
        return documented_errors(self._inner.last_backup)() if self._last is None else self._last

    @_last_backup.setter
    def _last_backup(self, seconds: float) -> None:
        self._last = seconds

    @documented_errors
    def auto_backup_if_needed(self) -> Path | None:
        """Make a backup if the last one is `backup_interval` seconds old; its path, or ``None``. Of several that ask at
        once, one makes it.
        """
        if self._last is not None:
            # Farther in the future it is of a clock that was set back.
            if abs(time.time() - self._last) < self.backup_interval:
                return None
            made = self.create_backup()
            self._last = None
            return made
        return self._inner.backup_if_due(self.backup_interval, self.max_backups)

    @documented_errors
    def backups(self) -> list[Path]:
        """The backups that the file has written down, the newest first, whether they are still there or not. A copy of
        the file has none: those are the other's.
        """
        return [Path(path) for path in self._inner.backups()]

    @documented_errors
    def restore_backup(self, backup_path: PathLike) -> BackupReport:
        """Put a backup, verified first, in place of all that the file has, in one transaction."""
        return make(BackupReport, self._inner.restore_backup(backup_path))

    @documented_errors
    def compact(self) -> CompactReport:
        """Copy what a first search reads of the embeddings into column blocks.

        The first search of a process then reads a byte a number in place of all rows. The rows stay, and every answer
        is the same. A row that is changed later is read itself until the next call.

        Returns
        -------
        CompactReport
            How many rows are in blocks now and were not before, the blocks written, and bytes in use.
        """
        return CompactReport(*self._inner.compact())

    @documented_errors
    def vacuum_database(self) -> bool:
        """Give free pages back to the file system; True."""
        self._inner.vacuum()
        return True

    @documented_errors
    def get_database_stats(self) -> dict[str, Any]:
        """How much there is: ``episodes_count``, ``concepts_count``, ``learning_events_count``,
        ``concept_relationships_count``, ``db_size_bytes`` and ``db_size_mb`` (with the log), ``schema_version``,
        ``total_pages``, ``page_size``.
        """
        stats = json.loads(self._inner.stats())
        names = ("episodes", "concepts", "learning_events", "concept_relationships")
        counts = {f"{name}_count": stats[name] for name in names}
        size = stats["size_bytes"]
        rest = {name: stats[name] for name in ("schema_version", "total_pages", "page_size")}
        return counts | {"db_size_bytes": size, "db_size_mb": size / 2**20} | rest

    @documented_errors
    def verify(self) -> VerifyReport:
        """Check pages, references, and the checksum of every payload."""
        return make(VerifyReport, self._inner.verify())

    @documented_errors
    def import_database(self, source: PathLike) -> ImportReport:
        """Import a database of Godly-AI, with its ids. Pickles are read, not run: arrays and plain
        containers are taken, and a row with anything else is refused and named.
        """
        return _import_report(self._inner.import_database(source))

    @documented_errors
    def sql(self, query: str) -> QueryResult:
        """Run one SQL statement that reads, on what is committed."""
        return QueryResult(self._inner.sql(query), self._inner.sql_table(query))

    @documented_errors
    def close(self) -> None:
        """Make a backup if one is due, and let the file go. Closing again does nothing.

        Raises
        ------
        SQLiteStorageError
            If a transaction is open, or one was left in its middle: what was written in it is rolled back.
        """
        if not self._inner.is_open:
            return
        try:
            if self._backs_up_at_close and not self._inner.in_transaction:
                self.auto_backup_if_needed()
        finally:
            self._inner.close()

    def _leave(self, error: BaseException | None) -> None:
        self.close()

    def _shown(self) -> str:
        return repr(str(self.db_path))

    # -- payloads --------------------------------------------------------------------------------

    @staticmethod
    def _deserialize_array(data: bytes) -> np.ndarray[Any, Any]:
        """What the bytes of a payload stand for."""
        array: np.ndarray[Any, Any] = _records.decode(data)
        return array

    @staticmethod
    @documented_errors
    def _serialize_array(array: Any) -> bytes:
        """The bytes of a payload."""
        return _siltstone.memory_encode(array)


def _import_report(text: str) -> ImportReport:
    report = json.loads(text)
    skipped = skipped_reports(report.pop("skipped"))
    return ImportReport(**report, skipped=skipped)


@documented_errors
def import_godly_ai(source: PathLike, target: PathLike | None) -> ImportReport:
    """Import a database of Godly-AI, with its ids, into a new file; the source is only read.

    Pickles are read, not run: arrays and plain containers are taken, and a row with anything else is refused and named.

    Parameters
    ----------
    source : path
        The database.
    target : path or None
        The file that gets its memories, made if it is not there, and without memories yet; None to read and count only.

    Raises
    ------
    SQLiteStorageError
        For a file that is none of Godly-AI, and for one that has memories already. Nothing is written.
    """
    return _import_report(_siltstone.memory_import(source, target))
