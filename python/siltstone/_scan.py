"""What a file has as lazy frames of Polars, by the door that Polars has for other sources.

Polars says which columns a query needs and which rows it filters for. Bounds on the column by which a store is ordered
(and the symbol of ticks, the simulation of records) are handed on to the store, which skips what is outside of them;
Polars' filter is applied to what comes, so that a condition that is not understood here costs time and no row. The door
is unstable in Polars itself: this module follows it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from siltstone._open import open
from siltstone._table import Table
from siltstone.errors import NotFoundError

if TYPE_CHECKING:
    import polars as pl


_FLIPPED = {"Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq", "Eq": "Eq"}


class _Part(NamedTuple):
    """A table that is read, and a column that all of its rows have beside its own."""

    table: Table
    name: str | None = None
    value: str | None = None


class _Bounds:
    """What a filter says of single columns: between which values rows are, both included."""

    def __init__(self, predicate: pl.Expr | None) -> None:
        self._of: dict[str, list[tuple[str, Any]]] = {}
        if predicate is None:
            return
        try:
            self._read(json.loads(predicate.meta.serialize(format="json")))
        except Exception:  # another version of Polars: everything is read, and filtered
            self._of = {}

    def _read(self, node: Any) -> None:
        if not isinstance(node, dict) or "BinaryExpr" not in node:
            return
        left, op, right = (node["BinaryExpr"][part] for part in ("left", "op", "right"))
        if op == "And":
            self._read(left)
            self._read(right)
        elif op in _FLIPPED:
            if "Column" in right:
                left, op, right = right, _FLIPPED[op], left
            if "Column" in left and "Literal" in right:
                self._of.setdefault(left["Column"], []).append((op, right))

    def _values(self, column: str, ops: tuple[str, ...], kind: pl.DataType | None) -> list[Any]:
        import polars as pl

        found = []
        for op, literal in self._of.get(column, ()):
            if op in ops:
                value = pl.Expr.deserialize(io.BytesIO(json.dumps(literal).encode()), format="json")
                if kind is not None:
                    value = value.cast(kind).to_physical()  # in the unit of the column
                found.append(pl.select(value).item())
        return [value for value in found if value is not None]

    def equal(self, column: str) -> Any:
        """The value that the column must have, or None."""
        try:
            found = self._values(column, ("Eq",), None)
        except Exception:  # a literal of a kind that is not known here
            return None
        return found[0] if found else None

    def between(self, column: str, kind: pl.DataType) -> tuple[Any, Any]:
        """The least and the greatest value that the column may have, as numbers of its unit; None for none."""
        try:
            low = self._values(column, ("Gt", "GtEq", "Eq"), kind)
            high = self._values(column, ("Lt", "LtEq", "Eq"), kind)
        except Exception:  # a value that the column's type cannot have
            return None, None
        return max(low, default=None), min(high, default=None)


def _lazy(schema: pl.Schema, parts: Callable[[_Bounds, list[str]], Iterable[_Part]]) -> pl.LazyFrame:
    """A lazy frame over parts: `parts` gets bounds and the columns that are needed."""
    import polars as pl
    from polars.io.plugins import register_io_source

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        shown = list(schema) if with_columns is None else with_columns
        needed = dict.fromkeys([*shown, *(() if predicate is None else predicate.meta.root_names())])
        for part in parts(_Bounds(predicate), list(needed)):
            for batch in part.table.batches():
                frame = pl.DataFrame(batch)
                if part.name is not None:
                    frame = frame.with_columns(pl.lit(part.value).alias(part.name))
                frame = frame.select(pl.col(name).cast(schema[name]) for name in needed)
                frame = (frame if predicate is None else frame.filter(predicate)).select(shown)
                if n_rows is not None:
                    frame = frame.head(n_rows)
                    n_rows -= len(frame)
                yield frame
                if n_rows == 0:
                    return

    return register_io_source(read, schema=schema)


def _schema(table: Table) -> pl.Schema:
    """The columns of a table, as Polars has them."""
    import polars as pl
    import pyarrow as pa

    empty = pa.RecordBatchReader.from_stream(table).schema.empty_table()
    kinds = pl.DataFrame(empty).schema
    # Categories of batches are texts to a query: each batch has its own.
    return pl.Schema({name: pl.String() if kind == pl.Categorical else kind for name, kind in kinds.items()})


def scan_ticks(folder: str | Path, symbols: str | Iterable[str] | None = None) -> pl.LazyFrame:
    """The ticks of a folder as a lazy frame of Polars: columns as of ``TickStore.scan``.

    Bounds on ``time`` and one ``symbol`` are handed on to the store.

    Parameters
    ----------
    folder : path
        A folder of ticks.
    symbols : str or list of str, optional
        These symbols; all unless given.

    Returns
    -------
    polars.LazyFrame

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
    with open(folder, read_only=True) as db:
        schema = _schema(db.ticks.scan([]))

    def parts(bounds: _Bounds, _columns: list[str]) -> Iterator[_Part]:
        symbol = bounds.equal("symbol")
        wanted = chosen if symbol is None else [symbol] if chosen is None or symbol in chosen else []
        with open(folder, read_only=True) as db:
            try:
                found = db.ticks.scan(wanted, *bounds.between("time", schema["time"]))
            except NotFoundError:
                if symbol is None:
                    raise
                return  # the filter names a symbol that there is not
            yield _Part(found)

    return _lazy(schema, parts)


def scan_records(path: str | Path, table: str, simulation_ids: str | Sequence[str] | None = None) -> pl.LazyFrame:
    """The records of simulations as a lazy frame of Polars.

    Columns are ``simulation_id``, and those of ``ExperimentDatabase.records``. Which are needed, bounds on the step and
    one ``simulation_id`` are handed on to the store.

    Parameters
    ----------
    path : path
        A file of experiments.
    table : str
        ``"simulation_metrics"``, ``"agent_states"``, ... or one that was defined.
    simulation_ids : str or list of str, optional
        Ids, or a filter as ``"params.rate > 0.15"``; all simulations unless given.

    Returns
    -------
    polars.LazyFrame
    """
    with open(path, read_only=True) as db:
        runs = db.experiment()
        ids = [info.simulation_id for info in runs.simulations(simulation_ids)]
        if not ids:
            raise NotFoundError(f"simulations: expected one of {str(path)!r}, got none")
        own = _schema(runs.records(ids[0], table))
    import polars as pl

    step, *others = own
    schema = pl.Schema({"simulation_id": pl.String(), **own})

    def parts(bounds: _Bounds, columns: list[str]) -> Iterator[_Part]:
        one = bounds.equal("simulation_id")
        low, high = bounds.between(step, schema[step])
        steps = (0 if low is None else max(low, 0), 2**63 - 1 if high is None else high)
        wanted = [name for name in others if name in columns]
        with open(path, read_only=True) as db:
            for id in ids:
                if (one is None or one == id) and steps[0] <= steps[1]:
                    found = db.experiment().records(id, table, steps=steps, columns=wanted)
                    yield _Part(found, "simulation_id", id)

    return _lazy(schema, parts)


def scan_series(path: str | Path, key: str) -> pl.LazyFrame:
    """A series of a file as a lazy frame of Polars: columns as of ``Backend.scan``.

    Bounds on the index are handed on to the store, if it is of integers.

    Parameters
    ----------
    path : path
        A file of series.
    key : str
        The series.

    Returns
    -------
    polars.LazyFrame
    """
    with open(path, read_only=True) as db:
        schema = _schema(db.series.scan(key))
    index = next(iter(schema))

    def parts(bounds: _Bounds, _columns: list[str]) -> Iterator[_Part]:
        low, high = bounds.between(index, schema[index]) if schema[index].is_integer() else (None, None)
        with open(path, read_only=True) as db:
            yield _Part(db.series.scan(key, low, high))

    return _lazy(schema, parts)


def scan_states(path: str | Path, dataset: str, entity_group: str) -> pl.LazyFrame:
    """The states of an entity group as a lazy frame of Polars: columns as of ``SimulationDatabase.states_table``.

    Bounds on ``timestamp`` are handed on to the store.

    Parameters
    ----------
    path : path
        A file of a simulation.
    dataset, entity_group : str
        The group.

    Returns
    -------
    polars.LazyFrame
    """
    with open(path, read_only=True) as db:
        schema = _schema(db.simulation.states_table(dataset, entity_group, []))

    def parts(bounds: _Bounds, _columns: list[str]) -> Iterator[_Part]:
        low, high = bounds.between("timestamp", schema["timestamp"])
        with open(path, read_only=True) as db:
            times = db.simulation.get_timestamps(dataset)
            times = [t for t in times if (low is None or low <= t) and (high is None or t <= high)]
            yield _Part(db.simulation.states_table(dataset, entity_group, times))

    return _lazy(schema, parts)
