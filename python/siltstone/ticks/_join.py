"""Tables that get the ticks of their times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from siltstone import _siltstone
from siltstone.errors import InvalidError


def table(
    left: Any,
    symbol: str | None,
    on: str,
    join: Callable[[str, Any], _siltstone.Columns],
) -> Any:
    """A table with the columns of the ticks behind its own; of the kind that it is."""
    import pyarrow as pa

    rows = pa.table(left)
    for needed in [on] if symbol is not None else [on, "symbol"]:
        if needed not in rows.column_names:
            has = ", ".join(rows.column_names)
            raise InvalidError(f"{needed}: expected a column of the table, got only {has}")
    times = rows[on]
    if times.null_count:
        raise InvalidError(f"{on}: expected a time for each row, got null")
    if not pa.types.is_integer(times.type):
        if pa.types.is_timestamp(times.type) and times.type.tz is None:
            hint = "times with a zone, or ns since 1970 UTC as 64-bit integers"
            raise InvalidError(f"{on}: expected {hint}, got {times.type}, which has no zone")
        times = times.cast(pa.timestamp("ns", tz="UTC"))
    times = np.ascontiguousarray(times.cast(pa.int64()).to_numpy())
    found = matches(times, rows, symbol, join)
    for name in ("tick_time", "bid", "ask", "spread", "lp"):
        free = name if name not in rows.column_names else f"{name}_tick"
        rows = rows.append_column(free, found[name])
    kind = type(left).__module__.partition(".")[0]
    if kind == "pandas":
        return rows.to_pandas()  # its index is in the table's metadata
    if kind == "polars":
        import polars as pl

        return pl.DataFrame(rows)
    return rows


def matches(times: Any, rows: Any, symbol: str | None, join: Callable[[str, Any], _siltstone.Columns]) -> Any:
    """The ticks of the rows, in their order."""
    import pyarrow as pa

    def found(symbol: str, times: Any) -> Any:
        part = pa.table(join(symbol, times))
        # Dictionaries of several symbols differ.
        return part.set_column(part.column_names.index("lp"), "lp", part["lp"].cast(pa.string()))

    if symbol is not None:
        return found(symbol, times)
    symbols = np.asarray(rows["symbol"].to_pylist(), dtype=object)
    parts, all_chosen = [], []
    for name in dict.fromkeys(symbols.tolist()):
        chosen = np.flatnonzero(symbols == name)
        parts.append(found(name, np.ascontiguousarray(times[chosen])))
        all_chosen.append(chosen)
    if not parts:
        return found("none", times)
    order = np.argsort(np.concatenate(all_chosen), kind="stable")
    return pa.concat_tables(parts).take(order)
