"""One handle on a file, or on a folder of ticks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from siltstone import _siltstone
from siltstone._handle import StoreHandle
from siltstone._query import QueryResult
from siltstone._reports import CompactReport, PublishedTable, PublishReport, VerifyReport, make
from siltstone._view import View
from siltstone.errors import InvalidError
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage
from siltstone.series import Backend
from siltstone.simulation import SimulationDatabase
from siltstone.ticks import TickStore
from siltstone.ticks._store import OUTCOMES

T = TypeVar("T")


def open(path: str | Path, read_only: bool = False) -> Handle:
    """Open a file, or an existing folder of ticks.

    Parameters
    ----------
    path : path
        A file, which is made if there is none, with the folders above it; or a folder that has day files of ticks or
        nothing. A new folder of ticks is made by :class:`siltstone.ticks.TickStore`.
    read_only : bool
        Whether nothing may be made or changed.

    Returns
    -------
    Handle
        Has a file's stores as ``simulation``, ``experiment(id)``, ``memory`` and ``series``, and a folder's ticks as
        ``ticks``.

    Raises
    ------
    NotFoundError
        For a file that is not there and may not be made.
    InvalidError
        For a folder that has files but no day of ticks, and for a path that begins with ``~`` or ``file:``.
    NotOursError, TooNewError
        If the file belongs to another program or a newer siltstone; it is left untouched.
    StorageError
        What the disk says.

    Examples
    --------
    >>> import os, tempfile
    >>> import pandas as pd
    >>> import siltstone
    >>> path = os.path.join(tempfile.mkdtemp(), "plant.db")
    >>> with siltstone.open(path) as db:
    ...     db.series.save(pd.Series([1.5, 1.6], pd.date_range("2026-01-01", periods=2, tz="UTC")), "flow")
    ...     db.simulation.store_update(0, 0, "plant", {"tanks": {"id": {"data": [1]}, "level": {"data": [0.5]}}})
    ...     db.sql("SELECT key, length FROM series").rows
    1
    [('flow', 2)]
    """
    return Handle(path, read_only)


class Handle(StoreHandle):
    """A file, or a folder of ticks: see :func:`siltstone.open`.

    Its stores are opened when they are first asked for, and closed with it. As a context manager it closes at the end;
    an exception marks a run that was written as failed.

    Parameters
    ----------
    path : path
        The file, or the folder.
    read_only : bool
        Whether nothing may be made or changed.
    """

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = bool(read_only)
        self._stores = ExitStack()
        self._known: dict[Any, Any] = {}
        self._is_folder = self.path.is_dir()
        self._inner = _siltstone.Opened(self.path, self.read_only)

    def _check_open(self) -> None:
        if not self._inner.is_open:
            self._inner.info()  # raises why it is not

    def _made(self, name: Any, make: Callable[[], Any], of_folder: bool = False) -> Any:
        """The store of this name, made when it is first asked for, and closed with the handle."""
        if self._is_folder and not of_folder:
            raise InvalidError(f"path: expected a file, got a folder of ticks, {str(self.path)!r}")
        self._check_open()
        if name not in self._known:
            store = make()
            # A backend of series has no end, and what reads ticks has nothing to stop.
            if isinstance(store, StoreHandle) and not (of_folder and self.read_only):
                self._stores.enter_context(store)
            self._known[name] = store
        return self._known[name]

    # -- the stores ------------------------------------------------------------------------------

    @property
    def simulation(self) -> SimulationDatabase:
        """The updates of a simulation."""
        made: SimulationDatabase = self._made(
            "simulation", lambda: SimulationDatabase(self.path, read_only=self.read_only)
        )
        return made

    def experiment(self, experiment_id: str | None = None) -> ExperimentDatabase:
        """Give an experiment, which is made if it is not there.

        Parameters
        ----------
        experiment_id : str, optional
            Its id; all simulations of the file unless set.

        Returns
        -------
        ExperimentDatabase
            The same each time.
        """
        made: ExperimentDatabase = self._made(
            ("experiment", experiment_id),
            lambda: ExperimentDatabase(self.path, experiment_id, read_only=self.read_only),
        )
        return made

    @property
    def memory(self) -> SQLiteStorage:
        """The memories of an agent. It makes no backups by itself: see :meth:`backup`."""

        def make() -> SQLiteStorage:
            store = SQLiteStorage(self.path, read_only=self.read_only)
            store._backs_up_at_close = False
            return store

        made: SQLiteStorage = self._made("memory", make)
        return made

    @property
    def series(self) -> Backend:
        """Time series: a backend on the file."""
        made: Backend = self._made("series", lambda: Backend._over(self._inner.series(), f"sqlite:{self.path}"))
        return made

    @property
    def ticks(self) -> TickStore:
        """The ticks of a folder. Ticks that are stored have the broker id ``siltstone``."""
        if not self._is_folder:
            raise InvalidError(f"path: expected a folder of ticks, got the file {str(self.path)!r}")
        made: TickStore = self._made(
            "ticks", lambda: TickStore._over(self._inner.ticks(OUTCOMES), str(self.path)), of_folder=True
        )
        return made

    # -- all of it -------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """Give what is there, counted store by store: what ``silt info --json`` prints.

        Returns
        -------
        dict
            Of a file ``bytes``, ``schema``, ``run``, ``datasets``, ``experiments``, ``memory``, ``series`` and more; of
            a folder ``ticks``, ``bytes``, ``symbols`` and ``days``.
        """
        found: dict[str, Any] = json.loads(self._inner.info())
        return found

    def sql(self, query: str) -> QueryResult:
        """Run one SQL statement that only reads, on what is committed.

        Parameters
        ----------
        query : str
            The statement. A folder has one table, ``ticks``, with all days: ``symbol``, ``timestamp`` (ms),
            ``time_ns``, ``bid``, ``ask``, ``spread``, ``lp_source``, ``broker_id``. Only the days are opened that
            conditions on the first three leave.

        Returns
        -------
        QueryResult
            Columns and rows; a table to pandas, Polars, pyarrow and DuckDB.
        """
        return QueryResult(self._inner.sql(query), self._inner.sql_table(query))

    def view(self, *, port: int = 0, browser: bool = False, allow_host: str | Sequence[str] = ()) -> View:
        """Show it as a page, which stays when the handle is closed: see :func:`siltstone.view`.

        Parameters
        ----------
        port : int
            The port; 0 takes a free one.
        browser : bool
            Whether to open the page in the user's browser.
        allow_host : str or list of str
            Names by which a proxy asks for it.

        Returns
        -------
        View
            Has the ``address`` and ``close()``, and is a frame in a notebook.
        """
        self._check_open()
        return View(self.path, port=port, browser=browser, allow_host=allow_host)

    def verify(self) -> VerifyReport:
        """Check everything: pages, references, and every checksum; of a folder, each day.

        Returns
        -------
        VerifyReport
            Damage is a finding.
        """
        return make(VerifyReport, self._inner.verify())

    def backup(self, target: str | Path) -> int:
        """Copy a snapshot of the file, or of each day, and verify the copy.

        Parameters
        ----------
        target : path
            The copy: a file, or a folder. It must not exist.

        Returns
        -------
        int
            Bytes of the copy.
        """
        return self._inner.backup(target)

    def compact(self) -> CompactReport:
        """Pack what is finished into column blocks. Every read gives the same afterwards.

        Returns
        -------
        CompactReport
            How much was packed: rows, blocks, bytes in use before and after.
        """
        return CompactReport(*self._inner.compact())

    def publish(
        self,
        to: str,
        *,
        tables: Sequence[str] = (),
        states_every: int | None = None,
        state_times: Sequence[int] = (),
        max_memory: int | None = None,
        live: bool = False,
        rebuild_ledger: bool = False,
        new_identity: bool = False,
    ) -> PublishReport:
        """Publish to a lake: Parquet files with a Delta log, which Polars, DuckDB and Spark read.

        What the lake does not have is sent, what has changed is replaced, what is gone is removed. Each row is there
        once, whatever fails in between; the next call goes on.

        Parameters
        ----------
        to : str
            A folder, ``s3://bucket/folder``, ``gs://bucket/folder``, ``az://container/folder`` or
            ``postgresql://USER@HOST/DATABASE``. Credentials come from the environment.
        tables : sequence of str
            Only these tables; all if empty.
        states_every : int, optional
            Publish the states of simulations at its multiples, from the first update of the file to the last one, as
            the table ``simulation_states``.
        state_times : sequence of int
            Publish the states at these times too. If neither is given, those that the lake has are kept up to date.
        max_memory : int, optional
            Bytes that files which are made and sent may take at once, 64 MiB or more; SQLite comes on top.
        live : bool
            Send what still grows in small files, which become large ones later: for calls within minutes.
        rebuild_ledger : bool
            Take what the lake says of this file as what was published, after a restored backup.
        new_identity : bool
            Publish a copy of a file under a name of its own: all of it is sent.

        Returns
        -------
        PublishReport
            A dict of the tables that changed, each with a `PublishedTable`; what the file has and publishing leaves out
            is its ``not_published``.

        Raises
        ------
        InvalidError
            If a table cannot be published, when the others were.

        Examples
        --------
        >>> with siltstone.open("run.db") as db:  # doctest: +SKIP
        ...     db.publish("s3://bucket/lake")
        """
        states = (states_every, list(state_times))
        flags = (live, rebuild_ledger, new_identity)
        done = json.loads(self._inner.publish(to, list(tables), states, max_memory, flags))
        if failed := done["failed"]:
            lines = (f"{name} was not published: {why}" for name, why in failed.items())
            raise InvalidError("\n".join(lines))
        tables_done = {name: PublishedTable(**table) for name, table in done["tables"].items()}
        return PublishReport(tables_done, done["not_published"])

    def expand(self) -> int:
        """Make rows of everything that is compacted, so that SQLite alone reads the documented tables.

        The points of series stay in blocks.

        Returns
        -------
        int
            How many rows and arrays of simulations were made.
        """
        return self._inner.expand()

    def close(self) -> None:
        """Write what waits, and close the stores. Closing again does nothing."""
        self._leave(None)

    def __enter__(self) -> Handle:
        self._check_open()
        return self

    def _leave(self, error: BaseException | None) -> None:
        try:
            self._stores.__exit__(None if error is None else type(error), error, None)
        finally:
            self._known.clear()  # a backend of series has no end of its own: the last to hold it lets the file go
            self._inner.close()

    def _shown(self) -> str:
        return repr(str(self.path)) + (", read_only=True" if self.read_only else "")

    def __repr__(self) -> str:
        return f"siltstone.open({self._shown()})"
