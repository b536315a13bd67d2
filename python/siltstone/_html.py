"""Small tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_MOST_ROWS = 10


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], total: int) -> str:
    """An HTML table of the first rows, saying how many there are."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    lines = []
    for row, _ in zip(rows, range(_MOST_ROWS), strict=False):
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    more = f"<p>{total - len(lines):,} more</p>" if total > len(lines) else ""
    return (
        f"<div><strong>{escape(title)}</strong><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>{more}</div>"
    )
