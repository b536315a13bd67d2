"""Ticks from a seed, a day at a time, and what answers are compared by."""

import numpy as np
import polars as pl

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
FIRST_NS = 1_768_780_800_000_000_000  # 2026-01-19
A_DAY = 1_000_000
SYMBOLS = [
    "EURUSD", "GBPUSD", "AUDUSD", "NZDUSD", "USDCAD", "USDCHF", "USDJPY", "EURGBP", "EURJPY", "EURCHF",
    "EURAUD", "EURCAD", "GBPJPY", "GBPCHF", "AUDJPY", "AUDCAD", "CADCHF", "CHFJPY", "NZDJPY", "AUDNZD",
]  # fmt: skip
#: The columns of the table of ticks in a lake.
COLUMNS = ["symbol", "time", "time_ns", "bid", "ask", "spread", "lp_source", "broker_id"]
#: The hour that is asked for: noon of the third day.
SYMBOL, HOUR_FIRST_NS = "NZDUSD", FIRST_NS + 2 * DAY_NS + 12 * HOUR_NS


def day(number: int) -> pl.DataFrame:
    """The ticks of a day as they arrive: random walks of a tenth of a pip, five digits."""
    draw = np.random.default_rng([20261130, number])
    symbol = draw.integers(0, len(SYMBOLS), A_DAY)
    time_ns = FIRST_NS + number * DAY_NS + np.sort(draw.integers(0, DAY_NS // 1_000, A_DAY)) * 1_000
    step = draw.integers(-3, 4, A_DAY)
    points = np.empty(A_DAY, np.int64)
    for n in range(len(SYMBOLS)):
        own = symbol == n
        points[own] = 50_000 + 7_000 * n + np.cumsum(step[own])
    wide = draw.integers(1, 30, A_DAY)
    bid, ask = points / 1e5, (points + wide) / 1e5
    names = pl.Series(SYMBOLS)
    frame = pl.DataFrame(
        {
            "symbol": names.gather(symbol),
            "time_ns": time_ns,
            "bid": bid,
            "ask": ask,
            "spread": ask - bid,
        }
    )
    time = (pl.col("time_ns") // 1_000).cast(pl.Datetime("us", "UTC"))
    return frame.with_columns(
        time=time, lp_source=pl.lit("YOFX"), broker_id=pl.lit("default")
    ).select(COLUMNS)


def days(rows: int) -> range:
    return range(rows // A_DAY)


def whole(rows: int) -> pl.DataFrame:
    """All of them, with the day that tables are partitioned by."""
    frame = pl.concat([day(number) for number in days(rows)])
    return frame.with_columns(day=pl.col("time").dt.date())


#: Sums of integers, which no order changes.
SUMS = [
    pl.len().alias("rows"),
    (pl.col("bid") * 1e5).round().cast(pl.Int64).sum().alias("bid"),
    (pl.col("ask") * 1e5).round().cast(pl.Int64).sum().alias("ask"),
    (pl.col("time_ns") % 1_000_000_000).sum().alias("time_ns"),
]


def answer(frame: pl.LazyFrame | pl.DataFrame) -> list[int]:
    """Number of rows and sums of what a frame has."""
    return list(frame.lazy().select(SUMS).collect().row(0))


def hour(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The symbol's hour."""
    within = pl.col("time_ns").is_between(HOUR_FIRST_NS, HOUR_FIRST_NS + HOUR_NS, closed="left")
    day = pl.lit(HOUR_FIRST_NS // 1_000).cast(pl.Datetime("us", "UTC")).dt.date()
    return frame.filter(pl.col("symbol") == SYMBOL, within, pl.col("day") == day)
