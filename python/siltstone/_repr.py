"""Short texts of records, and lists of records as tables."""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import Repr
from typing import Any, TypeVar

from siltstone import _html, _siltstone
from siltstone.errors import SiltstoneError

_T = TypeVar("_T")

#: Rows of a table in a terminal.
_MOST_ROWS = 20
#: Characters of a cell.
_WIDEST = 40

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 6


def short(value: Any) -> str:
    """What a value is, in a line: bytes of a payload as what they hold, ``512 float64`` for an embedding."""
    if not isinstance(value, bytes):
        return _SHORT.repr(value)
    try:
        held = _siltstone.memory_decode(value)
    except (SiltstoneError, ValueError, MemoryError):
        return f"{len(value)} bytes"
    if not hasattr(held, "dtype"):
        return _SHORT.repr(held)
    return f"{'x'.join(map(str, held.shape)) or 'one'} {held.dtype}"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def record(self: Any) -> str:
    """``repr`` of a named tuple or a dataclass, each field short."""
    names = getattr(self, "_fields", None) or self.__dataclass_fields__
    fields = ", ".join(f"{name}={short(getattr(self, name))}" for name in names)
    return f"{type(self).__name__}({fields})"


class Records(list[_T]):
    """A list of records that a terminal and a notebook show as a table."""

    def __init__(self, records: Iterable[_T] = (), columns: tuple[str, ...] = ()) -> None:
        super().__init__(records)
        self._columns = columns

    def _cells(self, one: _T) -> list[str]:
        values = (getattr(one, name) for name in self._columns)
        return ["" if v is None else v if isinstance(v, str) else short(v) for v in values]

    def __repr__(self) -> str:
        if not self or not self._columns:
            return super().__repr__()
        rows = [list(self._columns), *(self._cells(one) for one in self[:_MOST_ROWS])]
        rows = [[_line(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        more = len(self) - _MOST_ROWS
        return "\n".join([*lines, f"and {more:,} more"] if more > 0 else lines)

    def _repr_html_(self) -> str:
        rows = (self._cells(one) for one in self)
        return _html.table(f"{len(self):,} records", self._columns, rows, len(self))
