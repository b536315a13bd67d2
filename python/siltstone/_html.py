"""Small tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice

#: Rows that are shown.
MOST_ROWS = 10


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], total: int | None) -> str:
    """An HTML table of the first rows, saying how many more there are, if that is known."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    lines = []
    rows = iter(rows)
    for row in islice(rows, MOST_ROWS):
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    if total is None:
        more = "" if next(rows, None) is None else "<p>and more</p>"
    else:
        more = f"<p>{total - len(lines):,} more</p>" if total > len(lines) else ""
    return (
        f"<div><strong>{escape(title)}</strong><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>{more}</div>"
    )
