"""The rows of an SQL statement."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from siltstone import _html, _siltstone


class QueryResult:
    """Columns and rows of an SQL statement.

    It is a sequence of tuples, and a table to whatever takes the Arrow C stream interface: pandas,
    Polars, DuckDB, PyArrow. As a table it is read again from the file: the statement runs then.

    Attributes
    ----------
    columns : list of str
        The column names.
    rows : list of tuple
        The values: None, int, float, str or bytes.
    """

    def __init__(self, inner: _siltstone.Query, table: _siltstone.Table) -> None:
        self._inner = inner
        self._table = table

    @property
    def columns(self) -> list[str]:
        return self._inner.columns

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        return self._inner.rows()

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.rows[row]

    def __repr__(self) -> str:
        return f"QueryResult({len(self)} rows of {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        return _html.table("query", self.columns, self.rows, len(self))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        rows, columns = self.rows, self.columns
        return pd.DataFrame({i: [row[i] for row in rows] for i in range(len(columns))}).set_axis(
            columns, axis=1
        )

    def to_polars(self) -> Any:
        """The rows as a Polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self)
