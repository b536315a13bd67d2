"""What a file has for the queries of Polars and DuckDB, which say what columns they need and what rows they filter for.

Bounds on the column by which a store is ordered (and the symbol of ticks, the simulation of records) are handed on to
the store, which skips what is outside of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from siltstone._open import open
from siltstone._table import Table
from siltstone.errors import InvalidError, NotFoundError
from siltstone.series._range import whole


class Part(NamedTuple):
    """A table that is read, and what all of its rows have in a column of names beside its own."""

    table: Table
    name: str | None = None


class Bounds(Protocol):
    """What a query says of single columns."""

    def can_be(self, column: str, value: str) -> bool:
        """Whether there may be rows that have this value in a column of texts."""

    def between(self, column: str) -> tuple[int | None, int | None]:
        """The least and the greatest value of rows, both included, in the unit of the column; None for no bound."""


#: Gives what there is within bounds, of the columns that are needed.
Parts = Callable[[Bounds, list[str]], Iterable[Part]]


def _source(library: str, table: Table, named: str | None, parts: Parts) -> Any:
    """Parts with the columns of a table, behind one of names if they have that, as a library takes them."""
    if library == "polars":
        from siltstone._scan_polars import lazy_frame

        return lazy_frame(table, named, parts)
    if library == "pyarrow":
        from siltstone._scan_arrow import Dataset

        return Dataset(table, named, parts)
    raise InvalidError(f"library: expected 'polars' or 'pyarrow', got {library!r}")


def scan_ticks(folder: str | Path, symbols: str | Iterable[str] | None = None, *, library: str = "polars") -> Any:
    """The ticks of a folder for the queries of Polars or DuckDB: columns as of ``TickStore.scan``.

    Bounds on ``time``, and which ``symbol``, are handed on to the store.

    Parameters
    ----------
    folder : path
        A folder of ticks.
    symbols : str or list of str, optional
        These symbols; all unless given.
    library : {"polars", "pyarrow"}
        Whose form it has.

    Returns
    -------
    polars.LazyFrame or pyarrow.dataset.Dataset
        DuckDB takes the name of a dataset as a table, and asks it for what a query needs.

    Examples
    --------
    >>> import os, tempfile
    >>> import polars as pl
    >>> import siltstone
    >>> from siltstone.ticks import TickStore, TickStoreConfig
    >>> folder = tempfile.mkdtemp()
    >>> with TickStore(TickStoreConfig.production("b", sqlite_base_path=folder)) as store:
    ...     _ = store.store_ticks("EURUSD", [10**18, 10**18 + 1], [1.5, 1.6], [1.7, 1.8])
    >>> siltstone.scan_ticks(folder).filter(pl.col("bid") > 1.5).select(pl.len()).collect().item()
    1
    """
    chosen = [symbols] if isinstance(symbols, str) else None if symbols is None else list(symbols)

    def parts(bounds: Bounds, _columns: list[str]) -> Iterator[Part]:
        with open(folder, read_only=True) as db:
            names = db.ticks.symbols() if chosen is None else chosen
            yield Part(
                db.ticks.scan([name for name in names if bounds.can_be("symbol", name)], *bounds.between("time"))
            )

    with open(folder, read_only=True) as db:
        return _source(library, db.ticks.scan([]), None, parts)


def scan_records(
    path: str | Path, table: str, simulation_ids: str | Sequence[str] | None = None, *, library: str = "polars"
) -> Any:
    """The records of simulations for the queries of Polars or DuckDB.

    Columns are ``simulation_id``, and those of ``ExperimentDatabase.records``. Which are needed, bounds on the step,
    and which ``simulation_id``, are handed on to the store.

    Parameters
    ----------
    path : path
        A file of experiments.
    table : str
        ``"simulation_metrics"``, ``"agent_states"``, ... or one that was defined.
    simulation_ids : str or list of str, optional
        Ids, or a filter as ``"params.rate > 0.15"``; all simulations unless given.
    library : {"polars", "pyarrow"}
        Whose form it has.

    Returns
    -------
    polars.LazyFrame or pyarrow.dataset.Dataset
        DuckDB takes the name of a dataset as a table, and asks it for what a query needs.
    """
    with open(path, read_only=True) as db:
        runs = db.experiment()
        ids = [info.simulation_id for info in runs.simulations(simulation_ids)]
        # Where none is meant, any other one says what the columns are.
        known = ids or [info.simulation_id for info in runs.simulations()]
        if not known:
            raise NotFoundError(f"{path!s}: expected a file with simulations, got one without")
        first = runs.records(known[0], table)
        step, *others = first.columns

        def parts(bounds: Bounds, columns: list[str]) -> Iterator[Part]:
            low, high = bounds.between(step)
            steps = (0 if low is None else max(low, 0), 2**63 - 1 if high is None else high)
            wanted = [name for name in others if name in columns]
            with open(path, read_only=True) as db:
                for id in ids:
                    if bounds.can_be("simulation_id", id) and steps[0] <= steps[1]:
                        yield Part(db.experiment().records(id, table, steps=steps, columns=wanted), id)

        return _source(library, first, "simulation_id", parts)


def scan_series(path: str | Path, key: str, *, library: str = "polars") -> Any:
    """A series of a file for the queries of Polars or DuckDB: columns as of ``Backend.scan``.

    Bounds on the index are handed on to the store, if it is of integers or times.

    Parameters
    ----------
    path : path
        A file of series.
    key : str
        The series.
    library : {"polars", "pyarrow"}
        Whose form it has.

    Returns
    -------
    polars.LazyFrame or pyarrow.dataset.Dataset
        DuckDB takes the name of a dataset as a table, and asks it for what a query needs.
    """
    with open(path, read_only=True) as db:
        points = db.series.scan(key)
        index = points.columns[0]
        is_bounded = db.series.info(key).index_type.partition(":")[0] in ("int64", "timestamp")

        def parts(bounds: Bounds, _columns: list[str]) -> Iterator[Part]:
            low, high = bounds.between(index) if is_bounded else (None, None)
            # Numbers, as the store has them: a time would be read in the zone of the index.
            ends = (None if low is None else whole(low, True, True), None if high is None else whole(high, True, False))
            with open(path, read_only=True) as db:
                yield Part(Table(db.series._inner.scan(key, *ends), f"series {key!r}"))

        return _source(library, points, None, parts)


def scan_states(path: str | Path, dataset: str, entity_group: str, *, library: str = "polars") -> Any:
    """The states of an entity group for the queries of Polars or DuckDB.

    Columns are as of ``SimulationDatabase.states_table``. Bounds on ``timestamp`` are handed on to the store.

    Parameters
    ----------
    path : path
        A file of a simulation.
    dataset, entity_group : str
        The group.
    library : {"polars", "pyarrow"}
        Whose form it has.

    Returns
    -------
    polars.LazyFrame or pyarrow.dataset.Dataset
        DuckDB takes the name of a dataset as a table, and asks it for what a query needs.
    """

    def parts(bounds: Bounds, _columns: list[str]) -> Iterator[Part]:
        low, high = bounds.between("timestamp")
        with open(path, read_only=True) as db:
            times = db.simulation.get_timestamps(dataset)
            times = [t for t in times if (low is None or low <= t) and (high is None or t <= high)]
            yield Part(db.simulation.states_table(dataset, entity_group, times))

    with open(path, read_only=True) as db:
        return _source(library, db.simulation.states_table(dataset, entity_group, []), None, parts)
