"""What a number or a time of Python becomes in a file: one that is equal, or nothing at all."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import siltstone
from siltstone.errors import InvalidError
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage
from siltstone.ticks import TickStore, TickStoreConfig

#: Numbers that no float is equal to.
ROUNDED = [2**53 + 1, np.uint64(2**63 + 1), 2**64 + 1, Decimal("0.1"), Fraction(1, 3)]
#: Those that one is, and it.
EXACT = [(2**53, 2.0**53), (np.uint64(2**63), 2.0**63), (2**64, 2.0**64), (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25)]
if np.dtype(np.longdouble).itemsize > 8:
    ROUNDED += [np.longdouble("0.1"), np.array(np.longdouble("0.1")), np.longdouble("1e400")]
    EXACT += [(np.longdouble("0.5"), 0.5), (np.array(np.longdouble("-0.25")), -0.25)]


@pytest.fixture
def sim(tmp_path):
    with ExperimentDatabase(tmp_path / "a.db", "e") as db:
        yield db.create_simulation_context("a", {})


@pytest.mark.parametrize("value", ROUNDED, ids=repr)
def test_a_metric_is_never_rounded(sim, tmp_path, value):
    with siltstone.init(tmp_path / "b.db") as run:
        for call in (
            lambda: sim.log_metric("loss", value, 1),
            lambda: sim.log_metrics({"before": 1.0, "loss": value}, 1),
            lambda: run.log({"before": 1.0, "loss": value}),
        ):
            with pytest.raises(InvalidError, match="loss: expected"):
                call()
        assert sim.parent_db.metric_names("a") == [] and dict(run.summary) == {}


@pytest.mark.parametrize(("value", "number"), EXACT, ids=repr)
def test_a_metric_is_the_float_that_is_equal(sim, tmp_path, value, number):
    sim.log_metric("one", value, 1)
    sim.log_metrics({"many": value}, 1)
    assert sim.parent_db.metric("a", "one") == sim.parent_db.metric("a", "many") == [(1, number)]
    with siltstone.init(tmp_path / "b.db") as run:
        run.log({"x": value})
        assert run.summary["x"] == number


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.timedelta64(1, "s"), np.complex128(1), np.ones(1)])
def test_what_is_no_number_is_no_metric(sim, value):
    with pytest.raises(InvalidError, match="loss: expected"):
        sim.log_metric("loss", value, 1)


def test_a_parameter_that_is_a_long_double_is_exact_or_refused(sim):
    if np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("a long double is a float here")
    with pytest.raises(InvalidError, match=r"parameters\.net\.lr: expected a number that a float has exactly"):
        sim.log_params({"net": {"lr": np.longdouble("0.1")}})
    sim.log_params({"net": {"lr": np.longdouble("0.5")}})
    assert sim.parent_db.simulations(["a"])[0].parameters == {"net": {"lr": 0.5}}


def test_times_of_records_are_exact_or_refused(sim):
    pd = pytest.importorskip("pandas")
    sim.define_table("events", {"at": "datetime64[ns]"})
    for time in (np.datetime64("3000-01-01"), np.datetime64(-1, "as"), np.datetime64(10**7, "Y")):
        for at in (time, np.array([time]), [time]):
            with pytest.raises(InvalidError, match="at"):
                sim.log("events", step=0, at=at)
    missing = [np.datetime64("NaT"), pd.NaT]
    for at in (*missing, np.datetime64(1, "us"), np.datetime64(1000, "ps"), [pd.NaT, pd.Timestamp(5)]):
        sim.log("events", step=0, at=at)
    rows = sim.query("SELECT at FROM events").rows
    assert rows == [(None,), (None,), (1000,), (1,), (None,), (5,)]


def ticks(folder):
    config = TickStoreConfig("b", backend="sqlite", sqlite_base_path=str(folder / "ticks"), enable_json_legacy=False)
    return TickStore(config)


@pytest.mark.parametrize("value", ROUNDED, ids=repr)
def test_prices_are_never_rounded(tmp_path, value):
    store = ticks(tmp_path)
    with pytest.raises(InvalidError, match="bid: expected"):
        store.store_tick("EURUSD", value, 2.0, 0.5, time=1_700_000_000_000_000_000)
    times = np.array([1_700_000_000_000_000_000])
    with pytest.raises(InvalidError, match="bid: expected"):
        store.store_ticks("EURUSD", times, np.array([value]), np.array([2.0]))
    store.flush()
    assert store.days() == []
    store.stop()


def test_prices_of_whole_numbers_are_floats(tmp_path):
    store = ticks(tmp_path)
    times = np.array([1_700_000_000_000_000_000, 1_700_000_000_000_000_001])
    store.store_ticks("EURUSD", times, np.array([2**53, 2**53 + 2]), np.array([2**63, 1], np.uint64))
    found = store.get_ticks_in_range("EURUSD", 1_700_000_000_000_000_000, 1_700_000_000_000_000_002)
    assert [(tick.bid, tick.ask) for tick in found] == [(2.0**53, 2.0**63), (2.0**53 + 2, 1.0)]
    store.stop()


@pytest.mark.parametrize("value", ROUNDED, ids=repr)
def test_a_score_of_an_episode_is_never_rounded(tmp_path, value):
    with SQLiteStorage(tmp_path / "m.db") as store, pytest.raises(InvalidError, match="performance_score: expected"):
        store.store_episode({"a": 1}, value, "context")


@pytest.mark.parametrize("value", [2**64 + 1, np.uint64(2**63 + 1), *ROUNDED[5:6]], ids=repr)
def test_what_replaces_values_of_a_series_is_never_rounded(value):
    pd = pytest.importorskip("pandas")
    from siltstone.series import _process as process

    series = pd.Series([1.5, 2.5], pd.to_datetime(["2020-01-01", "2020-01-02"]))
    with pytest.raises(InvalidError, match="replace_with: expected a number that a float has exactly"):
        process.replace_ranges_series(series, [("2020-01-01", "2020-01-01")], value)
