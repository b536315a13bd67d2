"""The series of this bench, and what answers are compared by."""

import hashlib

import numpy as np
import pandas as pd

POINTS = 1_000_000
MANY = 1_000
FIRST = pd.Timestamp("2013-01-01")
KINDS = ("rounded", "full", "smooth")


def index(points: int, first: int = 0) -> pd.DatetimeIndex:
    """One point a second."""
    start = FIRST.value + first * 1_000_000_000
    return pd.DatetimeIndex(start + np.arange(points) * 1_000_000_000)


def one(kind: str, points: int) -> pd.Series:
    """A random walk rounded to 0.001, the same as it is, or a smooth curve."""
    if kind == "smooth":
        x = np.arange(points)
        values = 20 + 5 * np.sin(x / 13_750) + np.sin(x / 971)
    else:
        values = np.random.default_rng(4).normal(0, 0.01, points).cumsum() + 20
    if kind == "rounded":
        values = values.round(3)
    return pd.Series(values, index(points), name=kind)


def part(series: pd.Series, number: int, parts: int) -> pd.Series:
    """One of `parts` equal ones."""
    points = len(series) // parts
    return series.iloc[number * points : (number + 1) * points]


def many(points: int) -> dict[str, pd.Series]:
    """A series each thousand points of the walk, by key."""
    walk = one("rounded", points)
    return {f"plant/line#{n}/RAW#1": part(walk, n, MANY) for n in range(MANY)}


def middle(points: int) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Twenty ranges of one part in a hundred about the middle, both ends within."""
    size = points // 100
    starts = [points // 2 + size * n // 7 for n in range(20)]
    ends = [(FIRST + pd.Timedelta(s, "s"), FIRST + pd.Timedelta(s + size - 1, "s")) for s in starts]
    return ends


def answer(series: pd.Series) -> tuple[int, str]:
    """The number of points, and a checksum of the instants and of the bits of the values."""
    if not isinstance(series.index, pd.DatetimeIndex):
        raise TypeError(f"expected an index of times, got {type(series.index).__name__}")
    times = np.ascontiguousarray(series.index.as_unit("ns").asi8)
    values = np.ascontiguousarray(series.to_numpy(np.float64))
    return len(series), hashlib.sha256(times.tobytes() + values.tobytes()).hexdigest()
