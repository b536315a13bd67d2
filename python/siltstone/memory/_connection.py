"""SQL inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from siltstone import _siltstone
from siltstone.memory._errors import documented_errors


class Cursor:
    """The rows of a statement, as ``sqlite3`` has them."""

    def __init__(self, rows: list[tuple[Any, ...]], columns: list[str], changes: int, last: int) -> None:
        self._rows = iter(rows)
        self.description = [(name, *[None] * 6) for name in columns] or None
        self.rowcount = changes
        self.lastrowid = last

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or ``None``."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        return list(self._rows)


class Connection:
    """What a transaction gives: SQL of the caller's own on the documented tables, as part of it.

    Statements that would end or leave the transaction are refused.
    """

    def __init__(self, inner: _siltstone.MemoryStore) -> None:
        self._inner = inner

    @documented_errors
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement; parameters are in the order of its question marks."""
        query, changes, last = self._inner.execute(sql, list(parameters))
        return Cursor(query.rows(), query.columns, changes, last)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Cursor:
        """Run a statement for each row of parameters."""
        changes, last = 0, 0
        for row in rows:
            done = self.execute(sql, row)
            changes, last = changes + done.rowcount, done.lastrowid
        return Cursor([], [], changes, last)
