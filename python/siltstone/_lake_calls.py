"""Calls of the stores on the tables of a lake: Polars reads what they need, and the stores' own code answers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow

    from siltstone._lake import Lake, LakeTable
    from siltstone.ticks import Bars

_DAY_NS = 86_400_000_000_000


def _refuse_two(what: str, stores: Sequence[str]) -> None:
    if len(stores) > 1:
        one, other = sorted(stores)[:2]
        raise InvalidError(
            f"{what}: expected rows of one file (store= says of which), got those of {one} and of {other}"
        )


def _of(lake: Lake, table: str, store: str | None, **values: Any) -> pl.LazyFrame:
    import polars as pl

    if table not in lake.tables():
        raise NotFoundError(f"the table {table!r}: expected one that the lake has, got none in {lake.address}")
    frame = lake.scan(table)
    if store is not None:
        values["store_id"] = store
    return frame.filter([pl.col(name) == value for name, value in values.items()])


def ohlc(
    lake: Lake,
    symbol: str,
    spans: tuple[Any, Any],
    ends: tuple[Any, Any],
    how: tuple[str, str],
    store: str | None,
) -> Bars:
    """See :meth:`siltstone._lake.Lake.ohlc`."""
    import polars as pl

    from siltstone.ticks import Bars
    from siltstone.ticks._store import bounds
    from siltstone.ticks._time import length

    interval, origin = length("interval", spans[0]), _siltstone.ticks_to_ns(spans[1])
    low, high = bounds(*ends)
    days = [date(1970, 1, 1) + timedelta(ns // _DAY_NS) for ns in (low, high)]
    bucket = _siltstone.lake_bucket(symbol)
    of_symbol = _of(lake, "ticks", store, symbol_bucket=bucket, symbol=symbol)
    wanted = of_symbol.filter(pl.col("day").is_between(days[0], days[1]), pl.col("time_ns").is_between(low, high))
    ticks = wanted.select("day", "store_id", "time_ns", "bid", "ask").collect()
    for day, stores in ticks.group_by("day").agg(pl.col("store_id").unique()).sort("day").iter_rows():
        _refuse_two(f"ticks of {symbol} on {day}", stores)
    if ticks.is_empty() and of_symbol.select("day").head(1).collect().is_empty():
        raise NotFoundError(f"symbol {symbol!r}: expected one that the lake has, got none in {lake.address}")
    # Ticks of one time are in one file, in the order in which they came.
    rows = ticks.select("time_ns", "bid", "ask").sort("time_ns", maintain_order=True)
    return Bars(_siltstone.lake_ohlc(rows, interval, how[0], origin, how[1]), f"{symbol}, {how[0]}")


def load_range(lake: Lake, key: str, ends: tuple[Any, Any, str], store: str | None) -> pd.Series:
    """See :meth:`siltstone._lake.Lake.load_range`."""
    import polars as pl

    from siltstone.series import Backend
    from siltstone.series._range import bounds

    row = _of(lake, "series", store, key=key).collect()
    _refuse_two(f"the series {key!r}", row["store_id"].to_list())
    if row.is_empty():
        raise NotFoundError(f"series {key!r}: expected one that the lake has, got none in {lake.address}")
    info = _siltstone.lake_series(row, row.clear()).info(key)
    points = _of(lake, "series_points", row["store_id"][0], key_bucket=_siltstone.lake_bucket(key), key=key)
    low = high = None
    if info[1].startswith("timestamp:") and row["is_sorted"][0]:
        first, last = bounds(info, *ends)
        low = None if first is None else first[1] + (not first[0])  # an end that is not included
        high = None if last is None else last[1] - (not last[0])
        points = points.filter(
            *([] if low is None else [pl.col("index_integer") >= low]),
            *([] if high is None else [pl.col("index_integer") <= high]),
        ).sort("index_integer", maintain_order=True)
    found = points.collect()
    expected = row["length"][0]
    if len(found) != expected if (low, high) == (None, None) else len(found) > expected:
        raise InvalidError(
            f"the series {key!r} in the table series_points of {lake.address}: "
            f"expected {expected} points, got {len(found)}; publish the file again"
        )
    backend = Backend._over(_siltstone.lake_series(row, found), "memory:")
    series: pd.Series = backend.load_range(key, *ends)
    return series


def compare(
    lake: Lake,
    simulation_ids: str | Sequence[str] | None,
    metric: str | Sequence[str],
    at: str | int,
    store: str | None,
) -> pyarrow.Table:
    """See :meth:`siltstone._lake.Lake.compare`."""
    import pyarrow as pa

    from siltstone.experiment import ExperimentDatabase
    from siltstone.experiment._given import which

    metrics = [metric] if isinstance(metric, str) else list(metric)
    chosen = which(simulation_ids)
    tables = lake.tables()
    needed = {"run_metrics", "simulation_steps", *(name.split(".")[0] for name in metrics if "." in name)}
    needed |= {f"record_{name}" for name in needed}
    runs = tables["runs"].senders if "runs" in tables else {}
    found: list[pa.Table] = []
    missing: dict[str, NotFoundError] = {}
    refused: list[InvalidError] = []
    for name in (name for name, sender in runs.items() if sender.rows != 0 and store in (None, name)):
        own = ["runs", *(table for table in sorted(needed & set(tables)) if _sends(tables[table], name))]
        with tempfile.TemporaryDirectory() as folder:
            lake.pull(Path(folder) / "runs.db", tables=own, store=name)
            with ExperimentDatabase(Path(folder) / "runs.db", read_only=True) as db:
                here = set(db.get_simulation_ids())
                ids = [one for one in chosen if one in here] if isinstance(chosen, list) else chosen
                try:
                    columns = [pa.table(db.compare(ids, [], at))["simulation_id"]]
                except InvalidError as error:  # a parameter that no run of this file has
                    refused.append(error)
                    continue
                for one in metrics:
                    try:
                        columns.append(pa.table(db.compare(ids, [one], at)).column(1))
                    except NotFoundError as error:  # another file may have it
                        missing[one] = error
                        columns.append(pa.nulls(len(columns[0]), pa.float64()))
        stores = pa.array([name] * len(columns[0]), pa.string())
        found.append(pa.table([stores, *columns], ["store_id", "simulation_id", *metrics]))
    if refused and not found:
        raise refused[0]
    if isinstance(chosen, list):
        known = {one for table in found for one in table["simulation_id"].to_pylist()}
        for one in (one for one in chosen if one not in known):
            raise NotFoundError(f"simulation {one!r}: expected one that the lake has, got none in {lake.address}")
    for one in metrics:
        if one in missing and all(table[one].null_count == len(table) for table in found):
            raise missing[one]
    if not found:
        raise NotFoundError(f"runs: expected some that a file has published, got none in {lake.address}")
    return pa.concat_tables(found)


def _sends(table: LakeTable, store: str) -> bool:
    return store in table.senders and table.senders[store].rows != 0
