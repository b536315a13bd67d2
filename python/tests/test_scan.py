"""What files have as lazy frames of Polars: with every filter what the whole, filtered, has."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

import siltstone
from siltstone.ticks import TickStore, TickStoreConfig

pl = pytest.importorskip("polars")
from polars.testing import assert_frame_equal

DAY = 86_400_000_000_000
BEGIN = 1_704_067_200_000_000_000


@pytest.fixture
def ticks(tmp_path):
    random = np.random.default_rng(1)
    with TickStore(TickStoreConfig.production("b", sqlite_base_path=tmp_path / "ticks")) as store:
        for symbol in ("EURUSD", "GBPUSD"):
            times = BEGIN + np.sort(random.integers(0, 3 * DAY, 2_000))
            bids = random.normal(1.1, 0.01, 2_000)
            store.store_ticks(symbol, times, bids, bids + 0.0001)
    return tmp_path / "ticks"


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs.db"
    for n in range(3):
        with siltstone.init(path, {"n": n}, id=f"run_{n}") as run:
            for i in range(50):
                run.log({"loss": n + i / 50, "accuracy": i / 100})
    return path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.db"
    with siltstone.open(path) as db:
        for t in range(0, 40, 2):
            roads = {"id": {"data": np.arange(5)}, "speed": {"data": np.arange(5) + t / 4}}
            db.simulation.store_update(t, 0, "net", {"roads": roads})
        index = pd.date_range("2024-01-01", periods=1_000, freq="min", tz="UTC")
        db.series.save(pd.Series(np.arange(1_000.0), index=index), "level")
        for zone in ("Europe/Paris", "America/New_York"):
            db.series.save(pd.Series(np.arange(1_000.0), index=index.tz_convert(zone)), zone)
        db.series.save(pd.Series(np.arange(1_000.0), index=np.arange(0, 2_000, 2)), "counts")
    return path


def filters(column, values):
    """Conditions on a column, alone and with others, flipped and not."""
    low, high = values
    own = pl.col(column)
    yield own >= low
    yield own < high
    yield (own > low) & (own <= high)
    yield pl.lit(low) < own
    yield own == low
    yield (own < low) | (own > high)
    yield ~(own >= low)
    yield (own > high) & (own < low)
    yield own.is_not_null() & (own >= high)


def same(lazy, condition, columns):
    """A filtered scan is the whole, filtered; with some columns and some rows too."""
    whole = lazy.collect()
    wanted = whole.filter(condition)
    assert_frame_equal(lazy.filter(condition).collect(), wanted)
    assert_frame_equal(lazy.filter(condition).select(columns).collect(), wanted.select(columns))
    assert_frame_equal(lazy.filter(condition).head(7).collect(), wanted.head(7))


def test_ticks_are_filtered_by_time_and_symbol(ticks):
    lazy = siltstone.scan_ticks(ticks)
    assert lazy.select(pl.len()).collect().item() == 4_000
    at = dt.datetime(2024, 1, 2, 5, 30, tzinfo=dt.timezone.utc)
    for condition in filters("time", (at, at + dt.timedelta(hours=7))):
        same(lazy, condition, ["bid"])
        same(lazy, condition & (pl.col("symbol") == "GBPUSD"), ["symbol", "ask"])
    exact = lazy.select("time").collect()["time"][1_234]  # to the ns
    same(lazy, pl.col("time") == pl.lit(exact, dtype=pl.Datetime("ns", "UTC")), ["bid"])
    for symbol in ("EURUSD", "none"):
        same(lazy, pl.col("symbol") == symbol, ["time"])
    one = siltstone.scan_ticks(ticks, "EURUSD")
    same(one, pl.col("symbol") == "GBPUSD", ["time"])
    assert one.select(pl.len()).collect().item() == 2_000


def test_only_the_days_and_symbols_of_a_filter_are_read(ticks, monkeypatch):
    asked = []
    scan = TickStore.scan
    monkeypatch.setattr(TickStore, "scan", lambda self, *given: asked.append(given) or scan(self, *given))
    at = dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc)
    lazy = siltstone.scan_ticks(ticks)
    lazy.filter((pl.col("time") >= at) & (pl.col("symbol") == "EURUSD") & (pl.col("bid") > 1)).collect()
    assert asked[-1] == (["EURUSD"], BEGIN + DAY, None)


def test_records_are_filtered_by_simulation_and_step(runs, monkeypatch):
    lazy = siltstone.scan_records(runs, "simulation_metrics")
    step = lazy.collect_schema().names()[1]
    assert lazy.select(pl.len()).collect().item() == 300
    for condition in filters(step, (10, 20)):
        same(lazy, condition, ["value", "simulation_id"])
        same(lazy, condition & (pl.col("simulation_id") == "run_1") & (pl.col("name") == "loss"), ["value"])
    means = lazy.filter(pl.col("name") == "loss").group_by("simulation_id").agg(pl.col("value").mean()).sort("value")
    assert means.collect()["simulation_id"].to_list() == ["run_0", "run_1", "run_2"]
    chosen = siltstone.scan_records(runs, "simulation_metrics", "params.n > 0")
    assert chosen.select(pl.col("simulation_id").n_unique()).collect().item() == 2


def test_no_simulation_has_the_columns_of_all(runs):
    """Goal: ids or a filter that nothing fits give an empty frame, of the same columns."""
    whole = siltstone.scan_records(runs, "simulation_metrics").collect_schema()
    for none in ([], "params.n > 1e9"):
        frame = siltstone.scan_records(runs, "simulation_metrics", none).collect()
        assert frame.height == 0 and frame.schema == whole


def test_states_are_filtered_by_time(file):
    lazy = siltstone.scan_states(file, "net", "roads")
    assert lazy.select(pl.len()).collect().item() == 100
    for condition in filters("timestamp", (7, 20)):
        same(lazy, condition, ["speed"])


@pytest.mark.parametrize("key", ["level", "counts", "Europe/Paris", "America/New_York"])
def test_series_are_filtered_by_their_index(file, key):
    lazy = siltstone.scan_series(file, key)
    index = lazy.collect_schema().names()[0]
    at = dt.datetime(2024, 1, 1, 5, tzinfo=dt.timezone.utc)
    at = at.astimezone(ZoneInfo(key)) if "/" in key else at
    values = (101, 900) if key == "counts" else (at, at + dt.timedelta(hours=2))
    if key != "counts":
        assert lazy.filter(pl.col(index) <= at).select(pl.len()).collect().item() == 301
    for condition in filters(index, values):
        same(lazy, condition, [lazy.collect_schema().names()[1]])


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_an_index_in_seconds_is_filtered_by_its_times(tmp_path, zone):
    """Goal: Polars has no seconds: its ms are those of the index again, for any bound."""
    index = pd.date_range("1900-01-01", periods=50, freq="D", tz=zone).as_unit("s")
    with siltstone.open(tmp_path / "s.db") as db:
        db.series.save(pd.Series(np.arange(50.0), index=index), "k")
    lazy = siltstone.scan_series(tmp_path / "s.db", "k")
    name = lazy.collect_schema().names()[0]
    at = [index[i].to_pydatetime() for i in (7, 20)]
    for condition in [*filters(name, tuple(at)), pl.col(name) >= at[0] + dt.timedelta(milliseconds=1)]:
        same(lazy, condition, [lazy.collect_schema().names()[1]])
    assert lazy.filter(pl.col(name) >= at[0]).collect().height == 43
    assert lazy.filter(pl.col(name) > at[0] - dt.timedelta(milliseconds=1)).collect().height == 43
    assert lazy.filter(pl.col(name) < at[0] + dt.timedelta(milliseconds=1)).collect().height == 8


def test_a_filter_that_is_not_understood_costs_time_and_no_row(ticks, monkeypatch):
    monkeypatch.setattr("json.loads", lambda _: {"Another": "form"})
    same(siltstone.scan_ticks(ticks), pl.col("symbol") == "EURUSD", ["bid"])
