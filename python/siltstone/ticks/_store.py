"""The store's handle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from siltstone import _siltstone
from siltstone._handle import StoreHandle, end_at_exit, forget
from siltstone._table import Table
from siltstone.errors import InvalidError
from siltstone.ticks import _batch, _join
from siltstone.ticks._columns import AsOf, Bars, Gaps, Ticks
from siltstone.ticks._config import Outcome, TickStoreConfig
from siltstone.ticks._reports import (
    CompactedDay,
    DayInfo,
    FlushReport,
    RetainedDay,
    Tick,
    days,
    flush_report,
)
from siltstone.ticks._time import FIRST, LAST, Length, Time, last_nanosecond, length, nanoseconds_array

PathLike = str | os.PathLike[str]
OUTCOMES = [Outcome.STORED, Outcome.THROTTLED, Outcome.DROPPED]


class TickStore(StoreHandle):
    """A store of ticks: a hot path that does not wait for the disk, and a history in day files.

    Any number of threads may use one handle. Leaving its ``with`` block, or the end of the
    interpreter, writes what waits. After a fork the child opens a store of its own.

    Parameters
    ----------
    config : TickStoreConfig or str
        How it works; or a broker's name, for JSON files alone: the RTX engine's default.
    max_ticks_per_symbol : int, optional
        As in :class:`TickStoreConfig`; with a broker's name only.
    **options
        Other fields of :class:`TickStoreConfig`; with a broker's name only.

    Raises
    ------
    InvalidError
        For a configuration that contradicts itself.
    BusyError
        If another store writes the JSON files of that folder.
    StorageError, SqliteError
        What the disk says.

    Examples
    --------
    >>> import os, tempfile
    >>> base = os.path.join(tempfile.mkdtemp(), "db")
    >>> config = TickStoreConfig.production("BROKER-001", sqlite_base_path=base)
    >>> with TickStore(config) as store:
    ...     outcome = store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "YOFX", 1_000_000)
    ...     written = store.flush().written
    ...     ticks = store.get_recent_ticks("EURUSD", 100)
    >>> outcome, written, ticks.bid
    (<Outcome.STORED: 'stored'>, 1, array([1.085]))
    """

    def __init__(
        self,
        config: TickStoreConfig | str,
        max_ticks_per_symbol: int | None = None,
        **options: Any,
    ) -> None:
        if max_ticks_per_symbol is not None:
            options["max_ticks_per_symbol"] = max_ticks_per_symbol
        if not isinstance(config, TickStoreConfig):
            config = TickStoreConfig(config, **options)
        elif options:
            raise TypeError(f"{', '.join(options)}: set it in the TickStoreConfig")
        self._begin(_siltstone.TickStore(config, OUTCOMES), str(config.sqlite_base_path))

    def _begin(self, inner: _siltstone.TickStore, title: str, writes: bool = True) -> None:
        self._inner = inner
        self._title = title
        if writes:
            end_at_exit(inner, _siltstone.TickStore.stop, repr(self))
        if type(self).store_tick is TickStore.store_tick:
            # The hot path goes past Python: a call of ours would cost as much as the tick.
            self.store_tick = inner.store_tick  # type: ignore[method-assign]

    @classmethod
    def open_read_only(cls, base: PathLike) -> TickStore:
        """Open a folder of day files for reading. Nothing is made or changed, and a tick is refused.

        Raises
        ------
        NotFoundError
            If there is no such folder.
        """
        store = cls.__new__(cls)
        store._begin(_siltstone.TickStore.open_read_only(base, OUTCOMES), f"{base}, read-only", False)
        return store

    @classmethod
    def _over(cls, inner: _siltstone.TickStore, title: str) -> TickStore:
        """Over a store that is open."""
        store = cls.__new__(cls)
        store._begin(inner, title)
        return store

    # -- writing ---------------------------------------------------------------------------------

    def store_tick(
        self,
        symbol: str,
        bid: float,
        ask: float,
        spread: float | None = None,
        lp: str = "",
        time: Time | None = None,
    ) -> Outcome:
        """Take one tick: into the ring of its symbol, and into the queue. Never waits for the disk.

        With ``queue_full="block"`` it waits for room in a full queue.

        Parameters
        ----------
        symbol : str
            1 to 64 letters and digits of any language, spaces and ``._-/#&+=@^$:!~``; no part of it begins with a
            dot, or begins or ends with a space.
        bid, ask : float
            Finite. Zeros and crossed prices are quotes, and counted as odd. A ``Decimal`` is the nearest float; an
            integer, a fraction or a long double that no float is equal to is refused.
        spread : float, optional
            ``ask - bid`` unless given.
        lp : str
            The source (liquidity provider).
        time : int, datetime, date, numpy.datetime64 or str, optional
            ns since 1970 UTC (the fastest); a datetime with a zone; UTC. Now, unless given. Any
            order. Of an integer that seems to be in s, ms or us a ``RuntimeWarning`` tells, once a store.

        Returns
        -------
        Outcome
            ``Outcome.STORED``, ``THROTTLED`` or ``DROPPED``; each is equal to its name in small
            letters.

        Raises
        ------
        InvalidError
            For a symbol that is none, NaN or an infinity, a datetime without a zone. The tick is
            nowhere then.
        QueueFullError
            With ``queue_full="error"``.
        ClosedError
            After :meth:`stop`, or in a fork.
        """
        outcome: Outcome = self._inner.store_tick(symbol, bid, ask, spread, lp, time)
        return outcome

    def store_ticks(
        self,
        symbol: Any,
        time: Any = None,
        bid: Any = None,
        ask: Any = None,
        spread: Any = None,
        lp: Any = None,
    ) -> FlushReport:
        """Take many ticks, by column, and return when they are written.

        A part of 2,048 ticks or more of one symbol and day goes into compressed blocks at once. The
        throttle is not asked.

        Parameters
        ----------
        symbol : str, sequence of str, or table
            One for all or one a tick. A table is anything that offers the Arrow C interface (PyArrow,
            Polars, pandas) with columns ``symbol``, ``time``, ``bid``, ``ask`` and, if it has them,
            ``spread`` and ``lp``; then it is the only argument, but for `lp`.
        time : array of int64 (ns since 1970 UTC) or datetime64, shape (n,), or table
            Any order. numpy's datetime64, which has no zone, is UTC; a column of pandas, Polars or PyArrow without
            a zone is refused, as a datetime without one. With a table here, `symbol` is that of all its ticks.
        bid, ask : array of float, shape (n,)
            Finite.
        spread : array of float, shape (n,), optional
            ``ask - bid`` unless given.
        lp : str or sequence of str, optional
            The source: one for all or one a tick.

        Returns
        -------
        FlushReport
            What has been written since the store was opened.

        Raises
        ------
        InvalidError
            Before anything is written; of a table that comes in several parts, those before the error
            stay.
        ExistsError
            With ``duplicates="error"``.
        StorageError, SqliteError
            Days that were written before the error stay; the rest is not in the store.
        """
        if _batch.is_table(symbol) and time is None:
            return flush_report(self._inner.store_arrow(symbol, None, lp))
        if _batch.is_table(time) and bid is None:
            return flush_report(self._inner.store_arrow(time, symbol, lp))
        prices = (_batch.floats("bid", bid), _batch.floats("ask", ask))
        spreads = None if spread is None else _batch.floats("spread", spread)
        named = _batch.names("symbol", symbol), _batch.names("lp", "" if lp is None else lp)
        times = nanoseconds_array(time)
        return flush_report(self._inner.store_ticks(named[0], times, prices, spreads, named[1]))

    def flush(self) -> FlushReport:
        """Wait until everything that was accepted before is written, at the durability of the store.

        Raises
        ------
        SiltstoneError
            The first thing that went wrong since the last call, told once: ticks that were spilled,
            refused or lost are counted in :meth:`report`. Each time, why ticks can be put nowhere just
            now (a full disk): they wait in memory, and are written once when there is room.
        """
        return flush_report(self._inner.flush())

    def report(self) -> FlushReport:
        """What has been written since the store was opened."""
        return flush_report(self._inner.report())

    def stop(self) -> FlushReport:
        """Write everything that was accepted and end the writer. Reads go on; ticks are refused.

        A second call does nothing. See :meth:`flush` for errors.
        """
        report = flush_report(self._inner.stop())
        forget(self._inner)
        return report

    def _leave(self, error: BaseException | None) -> None:
        self.stop()

    # -- reading ---------------------------------------------------------------------------------

    def get_recent_ticks(self, symbol: str, n: int = 100) -> Ticks:
        """The last `n` ticks of a symbol, rising in time; from memory, if it holds them.

        Fewer if there are fewer, none for an unknown symbol.
        """
        return Ticks(self._inner.recent(symbol, n), symbol)

    def get_ticks_in_range(self, symbol: str, start: Time | None = None, end: Time | None = None) -> Ticks:
        """The ticks of a symbol from one time to another, both inclusive, over all days.

        Parameters
        ----------
        symbol : str
            The symbol; one that is unknown has no ticks.
        start, end : int, datetime, date, numpy.datetime64 or str, optional
            See :meth:`store_tick`. A date is the whole day in UTC: as the end of a range its last instant.
            From the first, to the last, unless given.

        Raises
        ------
        InvalidError
            For a symbol or time that is none.
        CorruptError
            If a block is damaged.
        """
        start, end = bounds(start, end)
        return Ticks(self._inner.range(symbol, start, end), symbol)

    def last(self, symbol: str) -> Tick | None:
        """The last tick of a symbol, or None. Its broker is not told."""
        found = self._inner.last(symbol)
        return None if found is None else Tick(symbol, *found)

    def symbols(self) -> list[str]:
        """All symbols that have ticks, in memory or on the disk, sorted."""
        return self._inner.symbols()

    def scan(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
    ) -> Table:
        """The ticks of some symbols, or of all, as a table that streams in bounded memory.

        Columns ``symbol``, ``time`` (ns, UTC), ``bid``, ``ask``, ``spread``, ``lp``, ``broker_id``; symbol
        by symbol, each rising in time. :meth:`Table.batches` gives one record batch after another,
        ``write("ticks.parquet")`` writes it to a file.
        """
        names = None if symbols is None else as_list(symbols)
        title = "ticks of " + ("all symbols" if names is None else ", ".join(names))
        return Table(self._inner.scan(names, *bounds(start, end)), title)

    def ohlc(
        self,
        symbol: str,
        interval: Length | str,
        start: Time | None = None,
        end: Time | None = None,
        price: str = "mid",
        origin: Time = 0,
        fill: str = "none",
    ) -> Bars:
        """Bars of a symbol from the ticks of a range, both ends inclusive; late ticks in their place.

        Parameters
        ----------
        symbol : str
            The symbol.
        interval : int (ns), timedelta, numpy.timedelta64 or str
            Length of a bar; as a text ``"30s"``, ``"1min"``, ``"4h"``, ``"1d"``.
        start, end : optional
            As in :meth:`get_ticks_in_range`.
        price : {"mid", "bid", "ask"}
            Which price.
        origin : time
            A time at which a bar begins.
        fill : {"none", "previous", "empty"}
            How to fill empty intervals: no bar, one at the close before, one of NaN.
        """
        span, origin = length("interval", interval), _siltstone.ticks_to_ns(origin)
        inner = self._inner.ohlc(symbol, span, bounds(start, end), price, origin, fill)
        return Bars(inner, f"{symbol}, {price}")

    def get_ohlc(self, symbol: str, timeframe: str, limit: int = 100) -> Bars:
        """The last `limit` bars by the mid price, the open one too; from memory where it reaches.

        Parameters
        ----------
        symbol : str
            The symbol.
        timeframe : {"M1", "M5", "M15", "H1", "H4", "D1"}
            Length of a bar.
        limit : int
            How many.
        """
        return Bars(self._inner.get_ohlc(symbol, timeframe, limit), f"{symbol}, {timeframe}")

    def asof(
        self,
        left: Any,
        symbol: str | None = None,
        tolerance: Length | str | None = None,
        direction: str = "backward",
        *,
        on: str = "time",
    ) -> Any:
        """The tick that held at each of some times: an as-of join.

        Parameters
        ----------
        left : array of int64 (ns) or datetime64, shape (n,), or table
            The times, in any order. A table (PyArrow, Polars, pandas) gets the columns of the ticks.
        symbol : str, optional
            The symbol of all; a table may have a column ``symbol`` instead.
        tolerance : int (ns), timedelta, numpy.timedelta64 or str, optional
            How far away a tick may be; any distance unless given.
        direction : {"backward", "before", "forward", "nearest"}
            The last one at or before the time, before it, the first at or after it, the nearest.
        on : str
            The table's column of times.

        Returns
        -------
        AsOf, or a table as `left`
            A row a time: ``tick_time``, ``bid``, ``ask``, ``spread``, ``lp``. A column of a table that has
            such a name keeps it, and ours gets ``_tick`` behind it.
        """
        span = None if tolerance is None else length("tolerance", tolerance)

        def join(symbol: str, times: Any) -> _siltstone.Columns:
            return self._inner.asof(symbol, times, span, direction)

        if _batch.is_table(left):
            return _join.table(left, symbol, on, join)
        if symbol is None:
            raise InvalidError("symbol: expected one, or a table with a column symbol, got None")
        return AsOf(join(symbol, nanoseconds_array(left)), f"{symbol}, {direction}")

    def gaps(
        self,
        symbol: str,
        min: Length | str,
        start: Time | None = None,
        end: Time | None = None,
    ) -> Gaps:
        """The gaps between neighbouring ticks of a symbol that are longer than `min`, of which some lies in the range.

        One at an end of the range begins or ends beyond it.
        """
        span = length("min", min)
        return Gaps(self._inner.gaps(symbol, span, *bounds(start, end)), f"{symbol}, > {min}")

    def replay(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        speed: float = 0.0,
        each: Callable[[Tick], object] | None = None,
    ) -> Any:
        """The history once more, in the order of time over all symbols.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            All unless given. Of one time they come in this order.
        start, end : optional
            As in :meth:`get_ticks_in_range`.
        speed : float
            1 is the pace at which they came, 10 ten times that, 0 as fast as it goes. Ctrl-C is
            heard while it waits.
        each : callable, optional
            Gets each :class:`Tick`; False breaks off.

        Returns
        -------
        iterator of Tick, or int
            With `each`: how many it got.
        """
        names = self.symbols() if symbols is None else as_list(symbols)
        ticks: Iterator[Tick] = self._inner.replay(names, *bounds(start, end), speed, Tick)
        if each is None:
            return ticks
        n = 0
        for tick in ticks:
            n += 1
            if each(tick) is False:
                break
        return n

    # -- old days --------------------------------------------------------------------------------

    def compact(self, day: str | None = None) -> list[CompactedDay]:
        """Turn the rows of finished days into compressed blocks, in the same files.

        Every read goes on as before, and late ticks may come.

        Parameters
        ----------
        day : str, optional
            One day, as ``"2026-01-19"``; ``"all"`` for every day that has rows, today too. Unless
            given, those that have been over for ``compact_after_days``.

        Raises
        ------
        NotFoundError
            If the day has no file.
        """
        return days(CompactedDay, self._inner.compact(day))

    def expand(self) -> int:
        """Make rows of the compacted ticks of every day, so that SQLite alone reads them.

        Each day is one transaction. A store with ``compact_every`` compacts days that are over again.

        Returns
        -------
        int
            How many ticks became rows.
        """
        return self._inner.expand()

    def retain(
        self,
        *,
        delete_after_days: int | None = None,
        thin_after_days: int | None = None,
        keep_one_of: int = 0,
        dry_run: bool = False,
    ) -> list[RetainedDay]:
        """Remove old days, or thin them out. Today's file is never touched.

        Parameters
        ----------
        delete_after_days, thin_after_days : int, optional
            For days that have been over for more than so many days.
        keep_one_of : int
            Of so many neighbouring ticks of a symbol the first is kept; 2 or more.
        dry_run : bool
            Only says what would be done.
        """
        return days(
            RetainedDay,
            self._inner.retain(delete_after_days, thin_after_days, keep_one_of, dry_run),
        )

    def days(self) -> list[DayInfo]:
        """The day files, rising, each with what is in it."""
        return days(DayInfo, self._inner.days())

    def stats(self) -> dict[str, Any]:
        """What the store did since it was opened, under the documented names of both generations.

        ``stats()["sqlite"]`` is None for a store without SQLite files.
        """
        found: dict[str, Any] = json.loads(self._inner.stats())
        return found

    def get_storage_stats(self) -> dict[str, Any]:
        """:meth:`stats` under its documented name."""
        return self.stats()

    def _shown(self) -> str:
        return self._title


def as_list(symbols: str | Iterable[str]) -> list[str]:
    """One symbol or several."""
    return [symbols] if isinstance(symbols, str) else list(symbols)


def bounds(start: Time | None, end: Time | None) -> tuple[int, int]:
    """A range as ns, both ends inclusive; a date is the whole day."""
    return (
        FIRST if start is None else _siltstone.ticks_to_ns(start),
        LAST if end is None else last_nanosecond(end),
    )
