"""The rows of an SQL statement."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from siltstone import _html, _siltstone, _xarray

#: Every integer up to here is a float too.
_EXACT = 2**53


def _cells(values: list[Any]) -> Any:
    """A column for pandas, which makes floats of integers beside None and floats."""
    is_rounded = any(type(value) is int and abs(value) > _EXACT for value in values)
    if not is_rounded or not any(value is None or type(value) is float for value in values):
        return values
    import pandas as pd

    has_others = any(value is not None and type(value) is not int for value in values)
    return pd.array(values, dtype="object" if has_others else "Int64")


class QueryResult:
    """Columns and rows of an SQL statement.

    It is a sequence of tuples, and a table to whatever takes the Arrow C stream interface:
    ``pyarrow.table(found)``, ``polars.DataFrame(found)``, DuckDB. As a table it is read again from the
    file: the statement runs then. ``pandas.DataFrame(found)`` takes the rows and the names of the
    columns. Where tables need names of their own, two columns ``a`` are ``a`` and ``a_2``.

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
        rows = self._inner.rows()
        if not rows:
            return rows
        # Fields are what pandas looks for in tuples that have names.
        row = type("Row", (Row,), {"__slots__": (), "_fields": tuple(unique(self.columns))})
        return [row(cells) for cells in rows]

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
        """The rows as a pandas DataFrame.

        A column of integers and NULL is of floats, as pandas has it, unless that would round: then it is ``Int64``, or
        of objects beside floats.
        """
        import pandas as pd

        rows, columns = self.rows, unique(self.columns)
        return pd.DataFrame({name: _cells([row[i] for row in rows]) for i, name in enumerate(columns)})

    def to_polars(self) -> Any:
        """The rows as a Polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self)

    def to_xarray(self) -> Any:
        """The rows as an xarray Dataset over the dimension ``row``; needs pyarrow."""
        import pyarrow as pa

        return _xarray.dataset(pa.RecordBatchReader.from_stream(self))


class Row(tuple[Any, ...]):
    """A row of a result: a tuple, which also knows the names of its columns."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)


def unique(names: list[str]) -> list[str]:
    """Names as a table needs them: later ones of the same name get ``_2``, ``_3`` behind them."""
    out: list[str] = []
    for i, name in enumerate(names):
        free, n = name, 1
        while free in out or (n > 1 and free in names[i + 1 :]):
            n += 1
            free = f"{name}_{n}"
        out.append(free)
    return out
