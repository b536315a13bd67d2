"""Tables that stream."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from siltstone import _siltstone


class Written(NamedTuple):
    """A table file that was written: its rows and its size in bytes."""

    rows: int
    bytes: int


class Table:
    """A table that streams, batch by batch, to whatever takes the Arrow C stream interface.

    ``pyarrow.table(table)``, ``polars.DataFrame(table)`` and DuckDB take it as it is. It may be
    streamed any number of times; each time it is read from the file again.
    """

    def __init__(self, inner: _siltstone.Table, name: str) -> None:
        self._inner = inner
        self._name = name

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._inner.columns()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._inner.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> Any:
        """The table as a PyArrow table."""
        import pyarrow as pa

        return pa.table(self)

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame; needs pyarrow."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """The table as a Polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self)

    def write(
        self, path: str | os.PathLike[str], format: str | None = None, *, overwrite: bool = False
    ) -> Written:
        """Write the table to a file, which appears when it is whole.

        Parameters
        ----------
        path : path
            The file.
        format : {"parquet", "arrow", "csv", "jsonl"}, optional
            What the file's ending says, unless given.
        overwrite : bool
            Whether a file of that name may be replaced.
        """
        return Written(*self._inner.write(path, format, overwrite))

    def __repr__(self) -> str:
        return f"Table({self._name}: {', '.join(self.columns)})"
