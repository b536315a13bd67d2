"""Datasets of PyArrow, which DuckDB reads by the columns and the filter of a query.

DuckDB asks an Arrow stream for nothing but all of it, and a ``pyarrow.dataset.Dataset`` for a scanner. What a filter
says of one column is found by asking Arrow whether rows with given values could pass it; the filter itself is applied
to what comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from siltstone._table import Table

if TYPE_CHECKING:
    from siltstone._scan import Parts

#: Of 64 bits; the least of all is no time.
_GREATEST = 2**63 - 1


class ArrowBounds:
    """What a filter of Arrow says of single columns."""

    def __init__(self, filter: Any, schema: Any) -> None:
        self._filter, self._schema = filter, schema

    def _can(self, condition: Any) -> bool:
        """Whether rows that meet a condition may pass the filter: Arrow leaves out a file of which none can."""
        files = ds.FileSystemDataset.from_paths(
            ["-"], self._schema, ds.IpcFileFormat(), LocalFileSystem(), partitions=[condition]
        )
        try:
            return next(iter(files.get_fragments(self._filter)), None) is not None
        except pa.ArrowInvalid:  # an integer that has no float to compare with
            return True

    def can_be(self, column: str, value: str) -> bool:
        """Whether there may be rows that have this value in a column of texts."""
        return self._filter is None or self._can(pc.field(column) == value)

    def between(self, column: str) -> tuple[int | None, int | None]:
        """The least and the greatest value of rows, both included, in the unit of the column; None for no bound."""
        if self._filter is None:
            return None, None
        kind, field = self._schema.field(column).type, pc.field(column)
        # The greatest number up to which none passes, and the least from which on none does.
        below = _last(lambda n: not self._can(field <= pa.scalar(n, kind)))
        above = _last(lambda n: not self._can(field >= pa.scalar(-n, kind)))
        low, high = None if below is None else below + 1, None if above is None else -above - 1
        return (1, 0) if low is not None and high is not None and low > high else (low, high)


def _last(is_out: Any) -> int | None:
    """The greatest number up to which `is_out` says yes, if it says so of the least."""
    low, high = -_GREATEST, _GREATEST
    if not is_out(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_out(middle) else (low, middle - 1)
    return low


def _is_of(filter: Any, schema: Any) -> bool:
    """Whether a filter is of these columns and no others."""
    try:
        ds.Scanner.from_batches([], schema=schema, filter=filter)
    except pa.ArrowInvalid:
        return False
    return True


class Dataset(ds.Dataset):  # type: ignore[misc]
    """Parts of a store as a dataset: what is read of it goes through :meth:`scanner`."""

    def __init__(self, table: Table, named: str | None, parts: Parts) -> None:
        schema = pa.RecordBatchReader.from_stream(table).schema
        self._schema = schema if named is None else pa.schema([pa.field(named, pa.string()), *schema])
        self._named, self._parts = named, parts

    @property
    def schema(self) -> Any:
        """The columns."""
        return self._schema

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> Any:
        """What reads some columns, and the rows that a filter lets pass; see ``pyarrow.dataset.Dataset.scanner``."""
        names = self._schema.names
        own = self._schema
        if isinstance(columns, list) and set(columns) <= set(names):
            # Of no column there would be no row.
            needed = pa.schema([own.field(name) for name in names if name in columns] or [own.field(0)])
            own = needed if filter is None or _is_of(filter, needed) else own
        batches = self._batches(own, filter)
        return ds.Scanner.from_batches(batches, schema=own, columns=columns, filter=filter, **options)

    def _batches(self, own: Any, filter: Any) -> Iterator[Any]:
        for part in self._parts(ArrowBounds(filter, self._schema), own.names):
            for batch in part.table.batches():
                columns = {name: batch.column(name) for name in own.names if name != self._named}
                if self._named in own.names:
                    columns = {self._named: pa.repeat(part.name, len(batch)), **columns}
                yield pa.RecordBatch.from_pydict(columns, own)

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            "a dataset of a store has no files: read it by to_table, to_batches, head, or a scanner"
        )

    # Arrow's own look at files.
    get_fragments = replace_schema = filter = join = join_asof = sort_by = _get_fragments = _refused
    partition_expression = property(_refused)
