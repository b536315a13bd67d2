"""Ticks, bars, gaps and joins: columns of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siltstone import _html, _siltstone
from siltstone.ticks._reports import Tick

Floats = NDArray[np.float64]


class Columns:
    """Columns of equal length: numpy arrays, and a table to whatever takes the Arrow C stream.

    ``pyarrow.table(columns)``, ``polars.DataFrame(columns)`` and DuckDB take it as it is. The arrays
    of numbers are read-only views of its memory: ``copy()`` one to change it.
    """

    _kind = "rows"

    def __init__(self, inner: _siltstone.Columns, title: str) -> None:
        self._inner = inner
        self._title = title

    def __len__(self) -> int:
        return len(self._inner)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._inner.names

    def _times(self, name: str) -> NDArray[np.datetime64]:
        return self._inner.numbers(name).view("M8[ns]")

    def _words(self, name: str) -> NDArray[np.object_]:
        codes, words = self._inner.words(name)
        # The last one, which is also the one at -1, stands for none.
        found: NDArray[np.object_] = np.array([*words, None], dtype=object)[codes]
        return found

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._inner.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> Any:
        """The columns as a PyArrow table."""
        import pyarrow as pa

        return pa.table(self)

    def to_pandas(self) -> Any:
        """The columns as a pandas DataFrame; needs pyarrow. Texts become categories."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """The columns as a Polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self)

    def _row(self, i: int) -> tuple[Any, ...]:
        return tuple(getattr(self, name)[i] for name in self.columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._title}: {len(self):,} {self._kind})"

    def _repr_html_(self) -> str:
        rows = [self._row(i) for i in range(min(len(self), _html.MOST_ROWS))]
        return _html.table(self._title, self.columns, rows, len(self))


class Ticks(Columns):
    """Ticks of one symbol, rising in time; of one time in the order of their arrival.

    It is a sequence of :class:`Tick`, and a table of its columns.

    Attributes
    ----------
    symbol : str
        The symbol.
    time : ndarray of datetime64[ns], shape (n,)
        UTC.
    time_ns : ndarray of int64, shape (n,)
        The same, ns since 1970.
    bid, ask, spread : ndarray of float64, shape (n,)
        As they were given, bit for bit.
    lp, broker_id : ndarray of object (str), shape (n,)
        The source and the broker.
    """

    _kind = "ticks"

    def __init__(self, inner: _siltstone.Columns, symbol: str) -> None:
        super().__init__(inner, symbol)
        self.symbol = symbol

    @cached_property
    def time_ns(self) -> NDArray[np.int64]:
        return self._inner.numbers("time")

    @cached_property
    def time(self) -> NDArray[np.datetime64]:
        return self._times("time")

    @cached_property
    def bid(self) -> Floats:
        return self._inner.numbers("bid")

    @cached_property
    def ask(self) -> Floats:
        return self._inner.numbers("ask")

    @cached_property
    def spread(self) -> Floats:
        return self._inner.numbers("spread")

    @cached_property
    def lp(self) -> NDArray[np.object_]:
        return self._words("lp")

    @cached_property
    def broker_id(self) -> NDArray[np.object_]:
        return self._words("broker_id")

    def __getitem__(self, i: int) -> Tick:
        prices = (float(self.bid[i]), float(self.ask[i]), float(self.spread[i]))
        return Tick(self.symbol, int(self.time_ns[i]), *prices, self.lp[i], self.broker_id[i])

    def __iter__(self) -> Iterator[Tick]:
        prices = (self.bid.tolist(), self.ask.tolist(), self.spread.tolist())
        for row in zip(self.time_ns.tolist(), *prices, self.lp, self.broker_id, strict=True):
            yield Tick(self.symbol, *row)

    def _row(self, i: int) -> tuple[Any, ...]:
        return (self.symbol, self.time[i], *self[i][2:])


class Bars(Columns):
    """Bars, rising in time.

    Attributes
    ----------
    time : ndarray of datetime64[ns], shape (n,)
        Begin of each bar, UTC.
    open, high, low, close : ndarray of float64, shape (n,)
        Prices; NaN in a bar that ``fill="empty"`` put in.
    volume : ndarray of uint64, shape (n,)
        Ticks; 0 in a bar that was filled in.
    """

    _kind = "bars"

    @cached_property
    def time(self) -> NDArray[np.datetime64]:
        return self._times("time")

    @cached_property
    def open(self) -> Floats:
        return self._inner.numbers("open")

    @cached_property
    def high(self) -> Floats:
        return self._inner.numbers("high")

    @cached_property
    def low(self) -> Floats:
        return self._inner.numbers("low")

    @cached_property
    def close(self) -> Floats:
        return self._inner.numbers("close")

    @cached_property
    def volume(self) -> NDArray[np.uint64]:
        return self._inner.numbers("volume")


class Gaps(Columns):
    """Times without a tick.

    Attributes
    ----------
    start, end : ndarray of datetime64[ns], shape (n,)
        Time of the tick before, and of the one after.
    length_ns : ndarray of int64, shape (n,)
        What is between them.
    """

    _kind = "gaps"

    @cached_property
    def start(self) -> NDArray[np.datetime64]:
        return self._times("start")

    @cached_property
    def end(self) -> NDArray[np.datetime64]:
        return self._times("end")

    @cached_property
    def length_ns(self) -> NDArray[np.int64]:
        return self._inner.numbers("length_ns")


class AsOf(Columns):
    """The tick of each time that was asked for, in the order of asking.

    Attributes
    ----------
    time : ndarray of datetime64[ns], shape (n,)
        The times that were asked for.
    tick_time : ndarray of datetime64[ns], shape (n,)
        Those of the ticks; NaT where there is none within the tolerance.
    bid, ask, spread : ndarray of float64, shape (n,)
        NaN where there is none; null in tables.
    lp : ndarray of object (str), shape (n,)
        None where there is none.
    """

    @cached_property
    def time(self) -> NDArray[np.datetime64]:
        return self._times("time")

    @cached_property
    def tick_time(self) -> NDArray[np.datetime64]:
        return self._times("tick_time")

    @cached_property
    def bid(self) -> Floats:
        return self._inner.numbers("bid")

    @cached_property
    def ask(self) -> Floats:
        return self._inner.numbers("ask")

    @cached_property
    def spread(self) -> Floats:
        return self._inner.numbers("spread")

    @cached_property
    def lp(self) -> NDArray[np.object_]:
        return self._words("lp")
