"""The tick store in Python: every snippet of the description, and what Python adds."""

import gc
import math
import signal
import threading
import time
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pytest

from siltstone.errors import InvalidError, QueueFullError
from siltstone.ticks import (
    Outcome,
    StorageBackend,
    Tick,
    TickStore,
    TickStoreConfig,
    now_ns,
    quality,
)

SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
T0 = 1_768_823_511_894_957_600


def bits(values):
    return np.asarray(values, dtype=np.float64).view(np.uint64).tolist()


# -- the description ---------------------------------------------------------------------------------


def test_basic_usage(tmp_path, monkeypatch):
    """Goal: the production snippet runs, with its default path, and what it stored is there."""
    monkeypatch.chdir(tmp_path)
    config = TickStoreConfig(
        broker_id="BROKER-001",
        max_ticks_per_symbol=10000,
        backend=StorageBackend.SQLITE,
        sqlite_base_path="data/ticks/db",
        enable_json_legacy=False,
    )
    store = TickStore(config)
    store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "YOFX", datetime.now(timezone.utc))
    store.flush()
    # Query historical data.
    assert len(store.get_recent_ticks("EURUSD", 100)) == 1
    end_time = datetime.now(timezone.utc)
    start_time = end_time - timedelta(hours=1)
    ticks = store.get_ticks_in_range("EURUSD", start_time, end_time)
    assert ticks[0][2:] == (1.0850, 1.0852, 0.0002, "YOFX", "BROKER-001")
    # Monitoring.
    stats = store.get_storage_stats()
    assert (stats["backend"], stats["ticks_stored"]) == ("sqlite", 1)
    assert stats["use_json_legacy"] is False and stats["ticks_throttled"] == 0
    sqlite = stats["sqlite"]
    assert (sqlite["ticks_written"], sqlite["write_errors"]) == (1, 0)
    assert (sqlite["queue_size"], sqlite["queue_capacity"]) == (0, 10000)
    store.stop()
    day = f"{datetime.now(timezone.utc):data/ticks/db/%Y/%m/ticks_%Y-%m-%d.db}"
    assert (tmp_path / day).is_file() and not list(tmp_path.glob("data/ticks/*/*.json"))


def test_migration_mode_and_the_json_default(tmp_path, monkeypatch):
    """Goal: both folders are written in the time of a migration, JSON alone by default."""
    monkeypatch.chdir(tmp_path)
    with TickStore(TickStoreConfig.migration("BROKER-001")) as store:
        store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "YOFX", T0)
        report = store.flush()
        assert (report.written, report.json_written) == (1, 1)
    text = (tmp_path / "data/ticks/EURUSD/2026-01-19.json").read_text()
    assert text.startswith('[{"broker_id":"BROKER-001","symbol":"EURUSD","bid":1.085,"ask":1.0852,')
    with TickStore("BROKER-001", 10000) as store:
        store.store_tick("GBPUSD", 1.27, 1.2702, 0.0002, "YOFX", T0)
        stats = store.stats()
        assert stats["backend"] == "json" and stats["use_json_legacy"] and stats["sqlite"] is None
    assert (tmp_path / "data/ticks/GBPUSD/2026-01-19.json").is_file()
    defaults = TickStoreConfig("B")
    assert (defaults.max_ticks_per_symbol, defaults.sqlite_base_path) == (10_000, "data/ticks/db")
    assert defaults.enable_json_legacy and defaults.backend is StorageBackend.JSON


def test_the_documented_sql_runs_on_a_day_file(store, base):
    """Goal: the statements of the description give our rows to Python's own sqlite3."""
    import sqlite3

    for n in range(3):
        store.store_tick("EURUSD", 1.0 + n, 2.0 + n, 1.0, "YOFX", n * 1_000_000)
    store.flush()
    with sqlite3.connect(base / "1970/01/ticks_1970-01-01.db") as db:
        sql = "SELECT symbol, COUNT(*), MIN(timestamp), MAX(timestamp) FROM ticks GROUP BY symbol"
        assert db.execute(sql).fetchall() == [("EURUSD", 3, 0, 2)]
    db.close()


# -- one tick ----------------------------------------------------------------------------------------


def test_ticks_come_back_bit_for_bit(store):
    """Goal: every finite double survives ring, rows and blocks; so does each ns."""
    bid = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1.00000000000000022]
    for n, value in enumerate(bid):
        assert store.store_tick("A", value, value, 0.0, "lp", T0 + n) is Outcome.STORED
    for step in (store.flush, lambda: store.compact("2026-01-19"), store.stop):
        step()
        ticks = store.get_ticks_in_range("A")
        assert bits(ticks.bid) == bits(bid) and ticks.time_ns.tolist() == [T0 + n for n in range(5)]
    assert ticks.time.dtype == "M8[ns]" and ticks.time[0] == np.datetime64(T0, "ns")


def test_all_forms_of_a_time_are_one_time(store):
    """Goal: integers, datetimes in any zone, numpy, pandas, dates and texts mean the same instant."""
    pd = pytest.importorskip("pandas")
    at = datetime(2026, 1, 19, 12, 30, 0, 123456, tzinfo=timezone.utc)
    ns = 1_768_825_800_123_456_000
    india = timezone(timedelta(hours=5, minutes=30))
    forms = [
        ns,
        np.int64(ns),
        at,
        at.astimezone(india),
        np.datetime64(ns, "ns"),
        np.datetime64("2026-01-19T12:30:00.123456"),
        pd.Timestamp(ns, tz="UTC"),
        pd.Timestamp(ns, tz="Asia/Kolkata"),
        "2026-01-19T12:30:00.123456+00:00",
        "2026-01-19T12:30:00.123456Z",
    ]
    for form in forms:
        store.store_tick("A", 1.0, 1.0, 0.0, "", form)
    assert store.get_recent_ticks("A").time_ns.tolist() == [ns] * len(forms)
    assert len(store.get_ticks_in_range("A", at, at)) == len(forms)
    assert len(store.get_ticks_in_range("A", date(2026, 1, 19), "2026-01-20")) == len(forms)
    assert len(store.get_ticks_in_range("A", "2026-01-20")) == 0
    store.store_tick("B", 1.0, 1.0, 0.0, "", datetime(1969, 12, 31, 23, 59, tzinfo=timezone.utc))
    assert store.last("B").time_ns == -MINUTE
    before = now_ns()
    store.store_tick("C", 1.0, 1.5)
    tick = store.last("C")
    assert before <= tick.time_ns <= now_ns() and tick.spread == 0.5
    assert tick.time == np.datetime64(tick.time_ns, "ns")


@pytest.mark.parametrize(
    "bad",
    [
        datetime(2026, 1, 19),
        np.datetime64("NaT"),
        np.datetime64("NaT", "ns"),
        np.datetime64("3000-01-01"),
        datetime(3000, 1, 1, tzinfo=timezone.utc),
        date(1500, 1, 1),
        2**63,
        1.5,
        True,
        "yesterday",
        "2026-01-19T12:00:00",
        [1],
    ],
    ids=str,
)
def test_times_that_are_none_are_refused(store, bad):
    """Goal: no clock is guessed, nothing wraps around, and the tick is nowhere."""
    with pytest.raises(ValueError):
        store.store_tick("A", 1.0, 1.0, 0.0, "", bad)
    assert store.symbols() == []


def test_bad_input_is_refused_before_it_is_stored(store, base):
    """Goal: NaN, infinities and symbols that are paths are errors; odd quotes are stored and counted."""
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidError):
            store.store_tick("A", value, 1.0, 0.0, "", 0)
        with pytest.raises(InvalidError):
            store.store_ticks("A", [0, 1], [1.0, value], [1.0, 1.0])
    for symbol in ("../../escape", "", " a", "/etc"):
        with pytest.raises(InvalidError):
            store.store_tick(symbol, 1.0, 1.0, 0.0, "", 0)
        with pytest.raises(InvalidError):
            store.get_recent_ticks(symbol, 1)
    with pytest.raises(TypeError):
        store.store_tick(None, 1.0, 1.0, 0.0, "", 0)
    with pytest.raises(TypeError):
        store.store_tick("A", "1.0", 1.0, 0.0, "", 0)
    assert store.flush().written == 0 and not any(base.iterdir())
    store.store_tick("A", 2.0, 1.0, -1.0, "", 0)
    odd = store.stats()["quality"]
    assert (odd["crossed"], odd["spread_negative"], odd["locked"]) == (1, 1, 0)
    assert quality(2.0, 1.0, -1.0) == 4 + 16


def test_a_full_queue_does_what_was_asked(make, tmp_path):
    """Goal: drops are told and counted and stay in the ring; an error is one; blocking loses none."""
    slow = {"queue_size": 4, "batch_size": 1_000, "flush_interval": 3_600.0}

    def fill(name, n=200_000):
        store = make(queue_full=name, sqlite_base_path=tmp_path / name, **slow)
        return store, [store.store_tick("A", 1.0, 1.0, 0.0, "", i) for i in range(n)]

    store, outcomes = fill("drop_newest")
    dropped = outcomes.count(Outcome.DROPPED)
    assert dropped > 0 and dropped == outcomes.count("dropped")
    assert store.stats()["ticks_dropped"] == store.flush().dropped == dropped
    assert store.flush().written == len(outcomes) - dropped
    assert len(store.get_recent_ticks("A", 10_000)) == 10_000, "the ring has them all"
    with pytest.raises(QueueFullError):
        fill("error")
    store, outcomes = fill("block", 5_000)
    assert set(outcomes) == {Outcome.STORED} and store.flush().written == 5_000


def test_the_throttle_leaves_out_what_hardly_moves(make):
    """Goal: the RTX engine's rule by its measured vectors, told by the call and counted."""
    store = make(throttle="bid")
    bids = [1.08500, 1.08501, 1.08502]
    outcomes = [store.store_tick("A", bid, bid + 1.0, 1.0, "", n) for n, bid in enumerate(bids)]
    assert outcomes == ["stored", "throttled", "stored"]
    assert store.stats()["ticks_throttled"] == 1 and len(store.get_recent_ticks("A")) == 2


def test_duplicates_follow_their_rule(make, tmp_path):
    """Goal: all are kept by default; the documented key keeps one of a millisecond, counted."""
    for rule, left in (("keep_all", 3), ("first", 1), ("last", 1), ("exact_row", 2)):
        store = make(sqlite_base_path=tmp_path / rule, duplicates=rule, duplicate_key_ns=1_000_000)
        for bid in (1.0, 2.0, 2.0):
            store.store_tick("A", bid, bid, 0.0, "", 5)
        report = store.flush()
        assert report.written + report.duplicates + report.replaced >= 3
        assert len(store.get_ticks_in_range("A")) == left, rule


# -- many ticks --------------------------------------------------------------------------------------


def test_columns_are_taken_from_numpy(store):
    """Goal: strided, other widths, datetime64 of other units, one name or many; the same as one by one."""
    n = 10_000
    time_ns = np.arange(n) * SECOND
    bid = np.arange(2 * n, dtype=np.float64)[::2]
    report = store.store_ticks("A", time_ns.astype("M8[ns]").astype("M8[s]"), bid, bid + 1)
    assert report.written == n
    ticks = store.get_ticks_in_range("A")
    assert ticks.time_ns.tolist() == time_ns.tolist() and bits(ticks.bid) == bits(bid)
    assert (ticks.spread == 1.0).all() and set(ticks.lp) == {""}
    store.store_ticks(
        np.array(["B", "C", "B"]),
        [3, 2, 1],
        np.float32([1, 2, 3]),
        [4, 5, 6],
        [0.5] * 3,
        ["x", "y", "z"],
    )
    assert store.get_recent_ticks("B").lp.tolist() == ["z", "x"]
    assert store.symbols() == ["A", "B", "C"]
    at = datetime(1970, 1, 1, tzinfo=timezone.utc)
    store.store_ticks("D", [at, at + timedelta(seconds=1)], [1.0, 2.0], [1.0, 2.0], lp="L")
    assert store.get_recent_ticks("D").time_ns.tolist() == [0, SECOND]
    store.store_ticks("D", [], [], [])
    for bad in (
        {"time": [0.5], "bid": [1.0], "ask": [1.0]},
        {"time": [1], "bid": ["1"], "ask": [1.0]},
        {"time": [1, 2], "bid": [1.0], "ask": [1.0]},
        {"time": [[1]], "bid": [1.0], "ask": [1.0]},
        {"time": [1], "bid": [1.0], "ask": [1.0], "lp": [None]},
        {"time": np.array(["NaT"], dtype="M8[s]"), "bid": [1.0], "ask": [1.0]},
        {"time": np.array(["3000"], dtype="M8[Y]"), "bid": [1.0], "ask": [1.0]},
    ):
        with pytest.raises(InvalidError):
            store.store_ticks("E", **bad)
    assert "E" not in store.symbols()
    with pytest.raises(InvalidError, match="NaT"):
        store.store_ticks("E", np.array(["NaT"], dtype="M8[s]"), [1.0], [1.0])


def test_a_date_is_the_whole_day(store):
    """Goal: from a date to the same date are the ticks of that day, by objects and texts, in every range."""
    day = np.datetime64("2026-01-19", "ns").astype(np.int64)
    times = [int(day) - 1, int(day), int(day) + 86_400 * 10**9 - 1, int(day) + 86_400 * 10**9]
    store.store_ticks("D", times, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    for whole in (date(2026, 1, 19), "2026-01-19"):
        assert store.get_ticks_in_range("D", whole, whole).bid.tolist() == [2.0, 3.0]
        assert store.scan("D", whole, whole).to_arrow().num_rows == 2
        assert store.ohlc("D", "1d", whole, whole).volume.tolist() == [2]
        assert [tick.bid for tick in store.replay("D", whole, whole, speed=0)] == [2.0, 3.0]
    same = np.datetime64("2026-01-19")
    assert store.get_ticks_in_range("D", same, same).bid.tolist() == [2.0, 3.0]
    assert store.get_ticks_in_range("D", same, np.datetime64("2026-01")).bid.tolist() == [2.0, 3.0, 4.0]
    assert store.get_ticks_in_range("D", same, same.astype("M8[s]")).bid.tolist() == [2.0]
    noon = datetime(2026, 1, 19, tzinfo=timezone.utc)
    assert store.get_ticks_in_range("D", noon, noon).bid.tolist() == [2.0]
    for last in (date(2262, 4, 11), np.datetime64("2262-04-11"), np.datetime64("2262")):
        assert store.get_ticks_in_range("D", end=last).bid.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_columns_are_taken_from_tables(store, make, tmp_path):
    """Goal: pandas, Polars and PyArrow go in; a scan of one store is another store."""
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    utc = pd.to_datetime([1, 2], unit="us", utc=True)
    columns = {"symbol": ["A", "B"], "time": np.array([1, 2], "M8[us]"), "bid": [1.0, 2.0]}
    columns |= {"ask": [1.5, 2.5], "lp": ["x", None]}
    naive = [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)]
    for table in naive:
        with pytest.raises(InvalidError, match="time: expected .* zone"):
            store.store_ticks(table)
        with pytest.raises(InvalidError, match="time: expected .* zone"):
            store.asof(table)
    for times in (naive[0]["time"], pd.DatetimeIndex(columns["time"])):
        with pytest.raises(InvalidError, match="time: expected .* zone"):
            store.store_ticks("A", times, [1.0, 2.0], [1.5, 2.5])
    frame = naive[0].assign(time=utc)
    tables = [frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)]
    tables += tables[2].to_batches()
    for n, table in enumerate(tables, 1):
        assert store.store_ticks(table).written == 2 * n
    assert store.get_recent_ticks("A").time_ns.tolist() == [1_000] * len(tables)
    assert set(store.get_recent_ticks("B").lp) == {""}
    store.store_ticks("C", tables[1].drop("symbol"), lp="L")
    assert store.get_recent_ticks("C").lp.tolist() == ["L", "L"]
    with pytest.raises(InvalidError, match="symbol"):
        store.store_ticks(tables[1].drop("symbol"))
    with pytest.raises(InvalidError, match="bid"):
        store.store_ticks(tables[2].set_column(2, "bid", pa.array([1.0, None])))
    other = make(sqlite_base_path=tmp_path / "other")
    other.store_ticks(store.scan())
    for symbol in store.symbols():
        mine, theirs = store.get_ticks_in_range(symbol), other.get_ticks_in_range(symbol)
        assert list(mine) == list(theirs)


# -- reading -----------------------------------------------------------------------------------------


@pytest.fixture
def minutes(store):
    """Bids 1, 3, 2 at 0, 0.5 and 3 minutes."""
    store.store_ticks("A", [0, MINUTE // 2, 3 * MINUTE], [1.0, 3.0, 2.0], [1.5, 3.5, 2.5], lp="x")
    return store


def test_ticks_are_arrays_rows_and_tables(minutes):
    """Goal: one object is numpy columns, a sequence, and a table to Arrow, pandas and Polars."""
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    ticks = minutes.get_ticks_in_range("A", 0, MINUTE)
    assert len(ticks) == 2 and ticks[-1] == Tick("A", MINUTE // 2, 3.0, 3.5, 0.5, "x", "BROKER-001")
    assert list(ticks) == [ticks[0], ticks[1]]
    assert not ticks.bid.flags.writeable
    with pytest.raises(IndexError):
        ticks[2]
    table = pa.table(ticks)
    assert table.column_names == ticks.columns and table["bid"].to_pylist() == [1.0, 3.0]
    assert table["time"].type == pa.timestamp("ns", "UTC")
    frame = ticks.to_pandas()
    assert frame["ask"].tolist() == [1.5, 3.5] and frame["lp"].tolist() == ["x", "x"]
    assert str(frame["time"].dt.tz) == "UTC"
    assert ticks.to_polars()["symbol"].cast(pl.String).to_list() == ["A", "A"]
    assert repr(ticks) == "Ticks(A: 2 ticks)" and "<table>" in ticks._repr_html_()
    empty = minutes.get_ticks_in_range("NONE")
    assert len(empty) == 0 and empty.bid.shape == (0,) and empty.lp.shape == (0,)
    assert empty.to_pandas().shape == (0, 7) and minutes.last("NONE") is None
    bid = ticks.bid
    del ticks, table, frame
    gc.collect()
    assert bid.tolist() == [1.0, 3.0], "an array keeps its memory"


def test_a_scan_is_bounded_and_can_be_repeated(store, tmp_path):
    """Goal: batches stay small whatever the range; the table is written to Parquet and comes back."""
    pq = pytest.importorskip("pyarrow.parquet")
    n = 100_000
    bid = np.round(1.08 + np.arange(n) % 97 / 1e5, 5)
    for symbol in ("A", "B"):
        store.store_ticks(symbol, np.arange(n) * 10 * SECOND, bid, bid + 0.0002, lp="x")
    scan = store.scan()
    sizes = [batch.num_rows for batch in scan.batches()]
    assert sum(sizes) == 2 * n and max(sizes) <= 20_000
    assert sum(batch.num_rows for batch in store.scan("B", 0, DAY).batches()) == 8_641
    written = scan.write(tmp_path / "ticks.parquet")
    back = pq.read_table(tmp_path / "ticks.parquet")
    assert written.rows == back.num_rows == 2 * n
    assert bits(back["bid"].to_numpy()[n:]) == bits(bid)
    assert scan.columns == ["symbol", "time", "bid", "ask", "spread", "lp", "broker_id"]


def test_bars_have_the_prices_of_sorted_ticks(minutes):
    """Goal: any price, length and fill; a late tick changes its own bar."""
    bars = minutes.ohlc("A", "1min", price="bid", fill="previous")
    assert bars.volume.tolist() == [2, 0, 0, 1] and bars.close.tolist() == [3.0, 3.0, 3.0, 2.0]
    assert bars.time.astype(int).tolist() == [0, MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert math.isnan(minutes.ohlc("A", MINUTE, fill="empty").open[1])
    minutes.store_tick("A", 9.0, 9.5, 0.5, "x", MINUTE // 4)
    bars = minutes.ohlc("A", timedelta(minutes=1), price="bid")
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == (1.0, 9.0, 1.0, 3.0)
    assert minutes.get_ohlc("A", "M5", 10).high.tolist() == [9.25]
    shifted = minutes.ohlc("A", np.timedelta64(1, "m"), origin=MINUTE // 2, price="ask")
    assert shifted.time.astype(int).tolist() == [-MINUTE // 2, MINUTE // 2, 5 * MINUTE // 2]
    frame = bars.to_pandas()
    assert frame.columns.tolist() == ["time", "open", "high", "low", "close", "volume"]
    for bad in ("1 fortnight", 0, -1, True, timedelta.max, 1.5):
        with pytest.raises(InvalidError):
            minutes.ohlc("A", bad)
    for bad in ({"price": "last"}, {"fill": "linear"}):
        with pytest.raises(InvalidError):
            minutes.ohlc("A", "1min", **bad)
    with pytest.raises(InvalidError):
        minutes.get_ohlc("A", "M2")


def test_asof_gives_the_tick_that_held(minutes):
    """Goal: directions and tolerance as said; NaN, NaT and None where there is none; order kept."""
    held = minutes.asof([MINUTE, -1, 0], "A")
    assert held.bid.tolist()[::2] == [3.0, 1.0] and math.isnan(held.bid[1])
    assert np.isnat(held.tick_time[1]) and held.lp.tolist() == ["x", None, "x"]
    assert minutes.asof([-1], "A", direction="forward").bid.tolist() == [1.0]
    assert math.isnan(minutes.asof([2 * MINUTE], "A", "1min").bid[0])
    assert minutes.asof(np.array([1], "M8[m]"), "A", direction="nearest").bid.tolist() == [3.0]
    assert math.isnan(minutes.asof([0], "A", direction="before").bid[0])
    assert len(minutes.asof([], "A")) == 0
    for bad in ({"direction": "sideways"}, {"tolerance": -1}):
        with pytest.raises(InvalidError):
            minutes.asof([0], "A", **bad)
    with pytest.raises(InvalidError):
        minutes.asof([0])


def test_asof_joins_tables(minutes):
    """Goal: a table of trades of several symbols gets the quotes of each, in its own order and kind."""
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    minutes.store_ticks("B", [0], [7.0], [8.0], lp="y")
    trades = {"time": pd.to_datetime([3, 1, 1], unit="m", utc=True), "symbol": ["A", "B", "A"]}
    trades["bid"] = [0.0, 0.0, 0.0]
    zoned = pa.Table.from_pandas(pd.DataFrame(trades), preserve_index=False)
    for table in (zoned, pl.DataFrame(zoned)):
        joined = minutes.asof(table)
        assert type(joined) is type(table)
        frame = pl.DataFrame(joined)
        assert frame["bid_tick"].to_list() == [2.0, 7.0, 3.0]
        assert frame["ask"].to_list() == [2.5, 8.0, 3.5]
    frame = pd.DataFrame(trades, index=[5, 6, 7])
    joined = minutes.asof(frame)
    assert joined["bid_tick"].tolist() == [2.0, 7.0, 3.0] and joined.index.tolist() == [5, 6, 7]
    assert joined["lp"].tolist() == ["x", "y", "x"] and joined["bid"].tolist() == [0.0] * 3
    assert minutes.asof(pd.DataFrame(trades)).index.tolist() == [0, 1, 2]
    assert minutes.asof(frame, "B")["bid_tick"].tolist() == [7.0, 7.0, 7.0]
    with pytest.raises(InvalidError, match="when"):
        minutes.asof(frame, on="when")


def test_gaps_are_longer_than_asked(minutes):
    """Goal: only what is longer; its ends are ticks."""
    gaps = minutes.gaps("A", "1min")
    assert len(gaps) == 1 and gaps.length_ns.tolist() == [3 * MINUTE - MINUTE // 2]
    assert gaps.start.astype(int)[0] == MINUTE // 2 and gaps.end.astype(int)[0] == 3 * MINUTE
    assert len(minutes.gaps("A", "1h")) == 0 and gaps.to_pandas().shape == (1, 3)


def test_a_replay_is_in_the_order_of_time(minutes):
    """Goal: all symbols merged; an iterator or a callback, which may break off; at a pace."""
    minutes.store_ticks("B", [1, 2 * MINUTE], [7.0, 8.0], [7.0, 8.0])
    ticks = list(minutes.replay())
    assert [tick.time_ns for tick in ticks] == sorted(tick.time_ns for tick in ticks)
    assert [tick.symbol for tick in ticks] == ["A", "B", "A", "B", "A"]
    assert isinstance(ticks[0], Tick) and ticks[0].lp == "x" and ticks[0].broker_id == "BROKER-001"
    seen = []
    assert minutes.replay("A", each=lambda tick: seen.append(tick.bid)) == 3
    assert seen == [1.0, 3.0, 2.0] and minutes.replay("A", each=lambda tick: False) == 1
    start = time.monotonic()
    assert len(list(minutes.replay("A", 0, MINUTE, speed=150.0))) == 2
    assert 0.19 <= time.monotonic() - start < 5.0
    with pytest.raises(InvalidError):
        minutes.replay(speed=-1.0)

    def fails(tick):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        minutes.replay(each=fails)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_ends_a_replay_that_waits(minutes):
    """Goal: a pause of hours between two ticks is left at once; the replay goes on afterwards."""
    minutes.store_ticks("S", [0, 10 * DAY], [1.0, 2.0], [1.0, 2.0])
    replay = minutes.replay("S", speed=1.0)
    assert next(replay).bid == 1.0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    start = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            next(replay)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 5.0
    assert minutes.get_recent_ticks("S").bid.tolist() == [1.0, 2.0]


def test_reads_see_what_is_being_written(store):
    """Goal: other threads read while one writes; no tick is missed, doubled or out of order."""
    n, failed = 20_000, []
    done = threading.Event()

    def read():
        last = 0
        while not done.is_set() and not failed:
            times = store.get_ticks_in_range("A", 0, n).time_ns
            if len(times) < last or not np.array_equal(times, np.arange(len(times))):
                failed.append(times)
            last = len(times)

    readers = [threading.Thread(target=read) for _ in range(3)]
    [reader.start() for reader in readers]
    for i in range(n):
        store.store_tick("A", 1.0, 1.0, 0.0, "", i)
        if i % 4_000 == 0:
            store.flush()
    done.set()
    [reader.join() for reader in readers]
    assert not failed and len(store.get_ticks_in_range("A")) == n
