"""The ticks that `siltstone-bench ticks-data` wrote, and what answers are compared by."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

DAY_NS = 86_400_000_000_000
MINUTE_MS = 60_000


class Rows(NamedTuple):
    """Ticks by column, in the order of their arrival; `symbol` is a place in the list of symbols."""

    symbol: np.ndarray
    time_ns: np.ndarray
    bid: np.ndarray
    ask: np.ndarray

    def part(self, first: int, last: int) -> "Rows":
        return Rows(*(column[first:last] for column in self))

    def of(self, symbol: int) -> "Rows":
        return Rows(*(column[self.symbol == symbol] for column in self))


class Data:
    def __init__(self, folder: Path):
        about = json.loads((folder / "ticks.json").read_text())
        self.symbols, self.days, self.lp = about["symbols"], about["days"], about["lp"]
        self.first_ns, self.source = about["first_ns"], about["source"]
        self.rows = Rows(
            np.fromfile(folder / "symbol.u32", "<u4"),
            np.fromfile(folder / "time_ns.i64", "<i8"),
            np.fromfile(folder / "bid.f64", "<f8"),
            np.fromfile(folder / "ask.f64", "<f8"),
        )
        self.per_day = len(self.rows.time_ns) // self.days

    def day(self, day: int) -> Rows:
        return self.rows.part(day * self.per_day, (day + 1) * self.per_day)


def answer(time_ns, *prices) -> list:
    """The number of rows and the sum of all bits, as the Rust side adds them up."""
    columns = [np.asarray(time_ns, np.int64), *(np.asarray(p, np.float64) for p in prices)]
    bits = sum(int(np.ascontiguousarray(c).view(np.uint64).sum(dtype=np.uint64)) for c in columns)
    return [len(columns[0]), str(bits % 2**64)]


def bars(rows: Rows, symbols: int) -> list:
    """The true one-minute bars of the mid price, as an answer."""
    order = np.lexsort((rows.time_ns, rows.symbol))
    time_ms = rows.time_ns[order] // 1_000_000
    mid = (rows.bid[order] + rows.ask[order]) / 2.0
    minute = time_ms // MINUTE_MS
    key = rows.symbol[order].astype(np.int64) << 40 | minute
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    last = np.r_[first[1:], len(key)] - 1
    high, low = np.maximum.reduceat(mid, first), np.minimum.reduceat(mid, first)
    volume = (last - first + 1).astype(np.float64)
    begin = minute[first] * MINUTE_MS * 1_000_000
    return answer(begin, mid[first], high, low, mid[last], volume)
