"""Lakes: what files have published, looked at, read by engines, and brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from siltstone import _lake_calls, _siltstone
from siltstone.errors import InvalidError

if TYPE_CHECKING:
    import pandas as pd
    import polars
    import pyarrow

    from siltstone.ticks import Bars
    from siltstone.ticks._time import Length, Time


class LakeSender(NamedTuple):
    """A file that publishes to a table of a lake.

    Attributes
    ----------
    commits : int
        How many commits of it the table has.
    last_ms : int or None
        When the last one was made, in ms since 1970.
    rows : int or None
        Rows of it; None if the log does not say so of each data file.
    host, file : str or None
        The machine that sent them last, and what the file is called there; None if the lake does not say so.
    """

    commits: int
    last_ms: int | None
    rows: int | None
    host: str | None
    file: str | None


class LakeTable(NamedTuple):
    """A table of a lake, by its log.

    Attributes
    ----------
    name : str
        Its folder below the lake.
    version : int
        Of its last commit.
    files : int
        Data files that it consists of.
    rows : int or None
        Rows in them; None if the log does not say so of each, as other writers may do.
    bytes : int
        Bytes of the files.
    senders : dict of str to LakeSender
        The files that publish to it, by their ``store_id``.
    """

    name: str
    version: int
    files: int
    rows: int | None
    bytes: int
    senders: dict[str, LakeSender]


class LakeReport(NamedTuple):
    """What a verification of a lake looked at and found.

    Attributes
    ----------
    rows : dict of str to int
        Rows of each table that were read.
    without_hash : int
        Files of other writers: their rows were counted, but there is no hash to hold them against.
    findings : list of (location, what)
        What is wrong; empty if nothing is.
    """

    rows: dict[str, int]
    without_hash: int
    findings: list[tuple[str, str]]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class VacuumReport(NamedTuple):
    """What was removed from a lake, or would be.

    Attributes
    ----------
    files : list of str
        Below the lake.
    bytes : int
        Their bytes.
    """

    files: list[str]
    bytes: int


class Lake:
    """A lake: a folder, or a folder of an object store, with a Delta table in each of its folders.

    See :func:`lake`.
    """

    def __init__(self, address: str | PathLike[str]) -> None:
        self.address = fspath(address).rstrip("/")

    def tables(self) -> dict[str, LakeTable]:
        """The tables, from their logs alone.

        Returns
        -------
        dict of str to LakeTable

        Raises
        ------
        NotFoundError, InvalidError
            If the address is not there, or has no table.
        """
        found = json.loads(_siltstone.lake_tables(self.address))
        for table in found:
            table["senders"] = {sender.pop("store_id"): LakeSender(**sender) for sender in table["senders"]}
        return {table["name"]: LakeTable(**table) for table in found}

    def verify(self, file: str | PathLike[str] | None = None) -> LakeReport:
        """Read each data file, and hold it against the log of its table.

        Parameters
        ----------
        file : path, optional
            A file, or a folder of ticks: what it has published is compared with what it has now.

        Returns
        -------
        LakeReport
            What is damaged is a finding, not an error.
        """
        report = json.loads(_siltstone.lake_verify(self.address, None if file is None else Path(file)))
        tables = report["tables"]
        return LakeReport(
            {name: table["rows"] for name, table in tables.items()},
            sum(table["without_hash"] for table in tables.values()),
            [(finding["location"], finding["what"]) for finding in report["findings"]],
        )

    def remove(self, store_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """Remove what a file has published from the tables, each in one commit.

        Readers of older versions find the rows until :meth:`vacuum` removes the data files. If the file publishes once
        more, it is refused until it rebuilds its ledger, which sends all of it again.

        Parameters
        ----------
        store_id : str
            The file, as in :attr:`LakeTable.senders`.
        dry_run : bool
            Remove nothing.

        Returns
        -------
        dict of str to int
            Of each table, how many data files it has no more.

        Raises
        ------
        NotFoundError
            If the file has nothing in the lake.
        """
        removed = json.loads(_siltstone.lake_remove(self.address, store_id, dry_run))
        return {name: table["files"] for name, table in removed.items()}

    def vacuum(
        self, older_than: timedelta = timedelta(days=7), *, dry_run: bool = False, no_senders: bool = False
    ) -> VacuumReport:
        """Remove data files that no table has: what was replaced, and what was sent and never committed.

        Parameters
        ----------
        older_than : timedelta
            A file stays if it was part of a table, or was written, this short a time ago.
        dry_run : bool
            Remove nothing.
        no_senders : bool
            Nobody publishes meanwhile: `older_than` may be less than two days.

        Returns
        -------
        VacuumReport
        """
        seconds = older_than.total_seconds()
        if seconds < 0:
            raise InvalidError(f"older_than: expected a time that is not negative, got {older_than!r}")
        report = json.loads(_siltstone.lake_vacuum(self.address, seconds, dry_run, no_senders))
        return VacuumReport([file["name"] for file in report["files"]], report["bytes"])

    def pull(
        self,
        output: str | PathLike[str],
        *,
        tables: Sequence[str] = (),
        store: str | None = None,
        where: Mapping[str, object] | None = None,
    ) -> dict[str, int]:
        """Bring tables back into a new file, or a new folder of ticks.

        Parameters
        ----------
        output : path
            What is made; it gets its name when all is in it.
        tables : sequence of str
            Only these tables; all if empty.
        store : str, optional
            Only what the file of this ``store_id`` has published.
        where : mapping, optional
            Only rows with these values, each of a column that all the tables have.

        Returns
        -------
        dict of str to int
            The rows of each table.

        Raises
        ------
        ExistsError
            If there is something at `output`.
        InvalidError
            If two files have published rows under one key: `store` says which.
        """
        filters = [(column, str(value)) for column, value in (where or {}).items()]
        rows: dict[str, int] = json.loads(
            _siltstone.lake_pull(self.address, Path(output), list(tables), store, filters)
        )
        return rows

    def scan(self, table: str, **options: Any) -> polars.LazyFrame:
        """A table as a lazy frame of Polars, which reads what a query needs.

        Parameters
        ----------
        table : str
        **options
            Of ``polars.scan_delta``, such as ``version`` and ``storage_options``.

        Returns
        -------
        polars.LazyFrame
        """
        self._check_files(table)
        import polars

        return polars.scan_delta(f"{self.address}/{table}", **options)

    def to_arrow(self, table: str, columns: Sequence[str] | None = None, **options: Any) -> pyarrow.Table:
        """A table, read by deltalake.

        Parameters
        ----------
        table : str
        columns : sequence of str, optional
            Only these.
        **options
            Of ``deltalake.DeltaTable``, such as ``version`` and ``storage_options``.

        Returns
        -------
        pyarrow.Table
        """
        self._check_files(table)
        from deltalake import DeltaTable

        found = DeltaTable(f"{self.address}/{table}", **options)
        return found.to_pyarrow_table(columns=None if columns is None else list(columns))

    def ohlc(
        self,
        symbol: str,
        interval: Length | str,
        start: Time | None = None,
        end: Time | None = None,
        price: str = "mid",
        origin: Time = 0,
        fill: str = "none",
        *,
        store: str | None = None,
    ) -> Bars:
        """Bars of a symbol, as :meth:`siltstone.ticks.TickStore.ohlc` makes them, of the ticks of all folders.

        Polars reads the symbol's bucket of the days of the range.

        Parameters
        ----------
        symbol, interval, start, end, price, origin, fill
            As of :meth:`siltstone.ticks.TickStore.ohlc`.
        store : str, optional
            Only what the folder of this ``store_id`` has published.

        Raises
        ------
        NotFoundError
            If the lake has no tick of the symbol.
        InvalidError
            If two folders have published ticks of the symbol on one day.
        """
        return _lake_calls.ohlc(self, symbol, (interval, origin), (start, end), (price, fill), store)

    def load_range(
        self, key: str, start: Any = None, end: Any = None, closed: str = "both", *, store: str | None = None
    ) -> pd.Series:
        """Points of a series, as :meth:`siltstone.series.Backend.load_range` gives them.

        Polars reads the bucket of the key; of an index of times the files whose times may lie in the range.

        Parameters
        ----------
        key, start, end, closed
            As of :meth:`siltstone.series.Backend.load_range`.
        store : str, optional
            Only what the file of this ``store_id`` has published.

        Returns
        -------
        pandas.Series

        Raises
        ------
        NotFoundError
            If the lake has no series of this key.
        InvalidError
            If two files have published one.
        """
        return _lake_calls.load_range(self, key, (start, end, closed), store)

    def compare(
        self,
        simulation_ids: str | Sequence[str] | None = None,
        metric: str | Sequence[str] = "total_agents",
        at: str | int = "final",
        *,
        store: str | None = None,
    ) -> pyarrow.Table:
        """The runs of all files beside each other, as :meth:`siltstone.experiment.ExperimentDatabase.compare` does it.

        Runs and the records that the metrics need are brought back, file by file, and compared there.

        Parameters
        ----------
        simulation_ids : str, or list of str, optional
            A filter, as ``"params.rate > 0.15"``, which each file applies; or ids.
        metric, at
            As of :meth:`siltstone.experiment.ExperimentDatabase.compare`.
        store : str, optional
            Only what the file of this ``store_id`` has published.

        Returns
        -------
        pyarrow.Table
            ``store_id``, ``simulation_id``, and a column of float64 for each metric; null where a simulation has no
            value.

        Raises
        ------
        NotFoundError
            If no file has such a simulation, or such a metric.
        """
        return _lake_calls.compare(self, simulation_ids, metric, at, store)

    def _check_files(self, table: str) -> None:
        if self.address.startswith(("postgresql:", "postgres:")):
            got = f"a PostgreSQL server: ask it for siltstone.{table} in SQL"
            raise InvalidError(f"the lake: expected files, which engines read, got {got}")

    def __repr__(self) -> str:
        return f"siltstone.lake({self.address!r})"


def lake(address: str | PathLike[str]) -> Lake:
    """A lake, by its address. Nothing is read yet.

    Parameters
    ----------
    address : str or path
        A folder, ``s3://bucket/folder``, ``gs://bucket/folder`` or ``az://container/folder``. Credentials come from the
        environment. Of a server, ``postgresql://USER@HOST/DATABASE``, there are `tables` and `verify`; its rows are
        read in SQL.

    Returns
    -------
    Lake

    Examples
    --------
    >>> siltstone.lake("s3://team/lake").scan("runs").collect()  # doctest: +SKIP
    """
    return Lake(address)
