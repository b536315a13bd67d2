"""Lazy frames of Polars, by the door that Polars has for other sources.

It is unstable in Polars itself: this module follows it. A condition that is not understood here costs time and no row,
since Polars' filter is applied to what comes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Set
from typing import TYPE_CHECKING, Any

from siltstone._table import Table

if TYPE_CHECKING:
    import polars as pl

    from siltstone._scan import Parts

_FLIPPED = {"Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq", "Eq": "Eq"}


class PolarsBounds:
    """What a filter of Polars says of single columns."""

    def __init__(self, predicate: pl.Expr | None, schema: pl.Schema, in_seconds: Set[str]) -> None:
        self._of: dict[str, list[tuple[str, Any]]] = {}
        self._schema, self._in_seconds = schema, in_seconds
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

    def can_be(self, column: str, value: str) -> bool:
        """Whether there may be rows that have this value in a column of texts."""
        try:
            found = self._values(column, ("Eq",), None)
        except Exception:  # a literal of a kind that is not known here
            return True
        return not found or value in found

    def between(self, column: str) -> tuple[int | None, int | None]:
        """The least and the greatest value of rows, both included, in the unit of the column; None for no bound."""
        kind = self._schema[column]
        try:
            low = self._values(column, ("Gt", "GtEq", "Eq"), kind)
            high = self._values(column, ("Lt", "LtEq", "Eq"), kind)
        except Exception:  # a value that the column's type cannot have
            return None, None
        least, greatest = max(low, default=None), min(high, default=None)
        if column in self._in_seconds:  # which Polars has in ms
            least = None if least is None else -(-least // 1000)
            greatest = None if greatest is None else greatest // 1000
        return least, greatest


def lazy_frame(table: Table, named: str | None, parts: Parts) -> pl.LazyFrame:
    """A lazy frame over parts that have the columns of a table, behind one of names if they have that."""
    import polars as pl
    from polars.io.plugins import register_io_source

    own, in_seconds = _schema(table)
    schema = own if named is None else pl.Schema({named: pl.String(), **own})

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        shown = list(schema) if with_columns is None else with_columns
        needed = dict.fromkeys([*shown, *(() if predicate is None else predicate.meta.root_names())])
        for part in parts(PolarsBounds(predicate, schema, in_seconds), list(needed)):
            for batch in part.table.batches():
                frame = pl.DataFrame(batch)
                if named is not None:
                    frame = frame.with_columns(pl.lit(part.name).alias(named))
                frame = frame.select(pl.col(name).cast(schema[name]) for name in needed)
                frame = (frame if predicate is None else frame.filter(predicate)).select(shown)
                if n_rows is not None:
                    frame = frame.head(n_rows)
                    n_rows -= len(frame)
                yield frame
                if n_rows == 0:
                    return

    return register_io_source(read, schema=schema)


def _schema(table: Table) -> tuple[pl.Schema, set[str]]:
    """The columns of a table, as Polars has them, and which of them count seconds, which Polars does not have."""
    import polars as pl
    import pyarrow as pa

    empty = pa.RecordBatchReader.from_stream(table).schema.empty_table()
    kinds = pl.DataFrame(empty).schema
    in_seconds = {field.name for field in empty.schema if getattr(field.type, "unit", None) == "s"}
    # Categories of batches are texts to a query: each batch has its own.
    return pl.Schema(
        {name: pl.String() if kind == pl.Categorical else kind for name, kind in kinds.items()}
    ), in_seconds
