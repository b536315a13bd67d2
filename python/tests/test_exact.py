"""What a number or a time of Python becomes in a file: one that is equal, or nothing at all."""

import importlib.util
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import siltstone
from siltstone.errors import InvalidError
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage
from siltstone.ticks import TickStore, TickStoreConfig, import_quotes

#: Numbers that no float is equal to.
ROUNDED = [2**53 + 1, np.uint64(2**63 + 1), 2**64 + 1, Fraction(1, 3)]
#: Lists of which numpy makes floats, or objects, before they are looked at.
ROUNDED_LISTS = [[2**53 + 1, 0.5], [np.uint64(2**63 + 1), np.int64(1)], [2**63 + 1, -1], [2**64 + 1, 0.5]]
#: Those that one is, and it.
EXACT = [(2**53, 2.0**53), (np.uint64(2**63), 2.0**63), (2**64, 2.0**64), (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25)]
if np.dtype(np.longdouble).itemsize > 8:
    ROUNDED += [np.longdouble("0.1"), np.array(np.longdouble("0.1")), np.longdouble("1e400")]
    EXACT += [(np.longdouble("0.5"), 0.5), (np.array(np.longdouble("-0.25")), -0.25)]


@pytest.fixture
def sim(tmp_path):
    with ExperimentDatabase(tmp_path / "a.db", "e") as db:
        yield db.create_simulation_context("a", {})


class Half:
    """A number of another library: it is equal to none of Python's."""

    def __float__(self):
        return 0.5


@pytest.mark.parametrize("value", [*ROUNDED, Decimal("0.1")], ids=repr)
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


def test_a_number_that_would_be_rounded_is_refused_with_what_keeps_it(sim):
    for value in (Decimal("0.1"), Fraction(1, 3), Fraction(10**400), Decimal("sNaN"), *ROUNDED[4:5]):
        for log, given in ((sim.log_metric, ("loss", value)), (sim.log_metrics, ({"loss": value},))):
            with pytest.raises(InvalidError, match=r"loss: expected a number that a float has exactly.*float\(.*str\("):
                log(*given)


def test_a_masked_value_is_missing_as_none_is(sim, tmp_path):
    for value in (None, np.ma.masked, np.ma.array(0.5, mask=True)):
        with pytest.raises(InvalidError, match="loss: expected a number"):
            sim.log_metric("loss", value, 1)
    with siltstone.init(tmp_path / "b.db") as run:
        run.log({"loss": np.ma.masked, "kept": np.ma.array(0.5)})
        run.log({"loss": np.ma.array(0.5, mask=True)})
        run.flush()
        rows = run.simulation.query("SELECT name, value FROM simulation_metrics ORDER BY step_number, name").rows
        assert rows == [("kept", 0.5), ("loss", None), ("loss", None)]


@pytest.mark.parametrize(
    "value",
    [
        [2**53 + 1, 0.5],
        [[1, 2.5], [3, 2**53 + 1]],
        [2**64 - 1, -1],
        [1, "a"],
        pd.Series([2**53 + 1, None], dtype="Int64"),
        pytest.param("polars", id="polars"),
        pytest.param("pyarrow", id="pyarrow"),
    ],
)
def test_an_array_is_never_rounded_and_no_number_becomes_a_text(tmp_path, value):
    """Goal: of a list, or a column with nulls, each number is the one that was logged, or it is refused by name."""
    if isinstance(value, str):
        library = pytest.importorskip(value)
        make = library.Series if value == "polars" else library.array
        value = make([2**53 + 1, None])
    with siltstone.init(tmp_path / "a.db") as run:
        with pytest.raises(InvalidError, match="^a: expected"):
            run.log({"a": value})
        run.log({"a": [2**53, 0.5], "b": pd.Series([2**53, None], dtype="Int64"), "c": ["x", "y"]})


def test_columns_with_nulls_are_kept_as_they_are(sim, tmp_path):
    """Goal: a column of PyArrow or pandas tells what is missing from NaN, and nothing alone is a column too."""
    pa = pytest.importorskip("pyarrow")
    sim.define_table("gaps", {"f": "float64", "i": "int64", "b": "bool", "t": "text", "d": "datetime64[ns]"})
    nothing = [None, None]
    sim.log("gaps", step=0, f=nothing, i=nothing, b=nothing, t=nothing, d=nothing)
    at = np.datetime64("2024-01-01", "ns")
    sim.log(
        "gaps",
        step=1,
        f=pa.array([float("nan"), None]),
        i=pd.Series([2**53 + 1, None], dtype="Int64"),
        b=pd.Series([True, None], dtype="boolean"),
        t=pd.Series(["a", None], dtype="string"),
        d=pa.array([at, None]),
    )
    sim.flush_all_buffers()
    rows = pa.table(sim.parent_db.records("a", "gaps")).to_pylist()
    missing = dict.fromkeys("fibtd")
    assert [{name: row[name] for name in missing} for row in (*rows[:2], rows[3])] == [missing] * 3
    assert rows[2]["f"] != rows[2]["f"] and (rows[2]["i"], rows[2]["b"], rows[2]["t"]) == (2**53 + 1, True, "a")
    assert rows[2]["d"] is not None


def test_an_image_with_a_palette_has_its_colours(tmp_path):
    image = pytest.importorskip("PIL.Image").new("RGB", (2, 2), (255, 128, 7)).quantize(4)
    assert image.mode == "P"
    with siltstone.init(tmp_path / "a.db") as run:
        run.log({"image": image})
        run.flush()
        stored = run.simulation.parent_db.array(run.id, "image", 0)
    assert stored.shape == (2, 2, 3) and stored[0, 0].tolist() == [255, 128, 7]


def test_the_summary_has_what_was_logged_not_what_became_of_the_array(tmp_path):
    with siltstone.init(tmp_path / "b.db") as run:
        loss = np.array(1.0)
        run.log({"loss": loss, "n": 2})
        loss[...] = 9.0
        assert dict(run.summary) == {"loss": 1.0, "n": 2.0}


class Attributes(Mapping):
    """Its keys are attributes too, as those of OmegaConf's configurations."""

    def __init__(self, **values):
        self._values = values

    def __getitem__(self, key):
        return self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __getattr__(self, name):
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None


def test_a_parameter_may_be_called_as_an_attribute_of_an_array(sim):
    model = Attributes(dtype="float32", shape=None, tolist=None, kind="mlp")
    sim.log_params({"model": model, "other": Attributes(dtype="float32")})
    found = sim.parent_db.simulations(["a"])[0].parameters
    assert found == {"model": dict(model), "other": {"dtype": "float32"}}
    with pytest.raises(InvalidError, match="loss: expected a number"):
        sim.log_metric("loss", Attributes(dtype="float32"))


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
    # numpy makes a list of several units one of the finest.
    far = [np.datetime64("3000-01-01"), np.datetime64(1, "ns")]
    for at in (far, tuple(far), [np.datetime64(10**7, "Y"), np.datetime64(1, "s")]):
        with pytest.raises(InvalidError, match=r"at of .*: expected times that 64 bits hold in ns"):
            sim.log("events", {"at": at}, step=0)
    missing = [np.datetime64("NaT"), pd.NaT]
    several = [np.datetime64(2, "us"), np.datetime64("NaT"), np.datetime64(3000, "ps")]
    for at in (*missing, np.datetime64(1, "us"), np.datetime64(1000, "ps"), [pd.NaT, pd.Timestamp(5)], several):
        sim.log("events", step=0, at=at)
    rows = sim.query("SELECT at FROM events").rows
    assert rows == [(None,), (None,), (1000,), (1,), (None,), (5,), (2000,), (None,), (3,)]


def test_records_of_lists_are_never_rounded(sim):
    sim.define_table("f", {"x": "float64"})
    for values in (*ROUNDED_LISTS, tuple(ROUNDED_LISTS[0]), [2**53 + 1, None, 0.5], [2**53 + 1]):
        with pytest.raises(InvalidError, match="x"):
            sim.log("f", {"x": values}, step=0)
    sim.log("f", step=0, x=[2**60, 0.5])
    assert sim.query("SELECT x FROM f").rows == [(2.0**60,), (0.5,)]


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


def test_prices_in_lists_and_tables_are_never_rounded(tmp_path):
    store = ticks(tmp_path)
    times = np.array([1_700_000_000_000_000_000, 1_700_000_000_000_000_001])
    for values in ROUNDED_LISTS:
        with pytest.raises(InvalidError, match=f"bid: expected numbers that a float has exactly, got {values[0]}"):
            store.store_ticks("EURUSD", times, values, [2.0, 2.0])
    pa = pytest.importorskip("pyarrow")
    for bid in (pa.array([1, 2**53 + 1]), pa.array([1, 2**63 + 1], pa.uint64())):
        table = pa.table({"time": times, "bid": bid, "ask": [2.0, 2.0]})
        with pytest.raises(InvalidError, match="bid of row 1: expected a number that a float has exactly"):
            store.store_ticks("EURUSD", table)
    store.flush()
    assert store.days() == []
    store.store_ticks("EURUSD", times, [2**60, 0.5], pa.array([2**60, 2]))
    assert store.last("EURUSD").bid == 0.5
    store.stop()


def test_prices_of_a_parquet_file_are_never_rounded(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    bid, ask = pa.array([1, 2**53 + 1, 2**60]), pa.array([2, 2, 2**63 + 1], pa.uint64())
    pq.write_table(pa.table({"time": [1, 2, 3], "bid": bid, "ask": ask}), tmp_path / "a.parquet")
    report = import_quotes(tmp_path / "a.parquet", tmp_path / "ticks", symbol="EURUSD", time_unit="s")
    assert (report.ticks_migrated, report.ticks_bad) == (1, 2)
    expected = "a number that a float has exactly"
    for line, name, got in ((2, "bid", 2**53 + 1), (3, "ask", 2**63 + 1)):
        assert f"line {line}: {name}: expected {expected}, got {got}" in report.skipped[0].reason


def test_prices_and_scores_of_decimals_are_the_nearest_floats_and_those_of_other_types_their_own(tmp_path):
    numbers = [(Decimal("1.0845"), 1.0845), (Half(), 0.5)]
    if importlib.util.find_spec("pyarrow"):
        numbers.append((importlib.import_module("pyarrow").scalar(1.5), 1.5))
    if importlib.util.find_spec("sympy"):
        numbers.append((importlib.import_module("sympy").Rational(1, 4), 0.25))
    store = ticks(tmp_path)
    with SQLiteStorage(tmp_path / "m.db") as memory, ExperimentDatabase(tmp_path / "a.db", "e") as db:
        sim = db.create_simulation_context("a", {})
        for i, (value, number) in enumerate(numbers):
            store.store_tick("EURUSD", value, value, value, time=1_700_000_000_000_000_000 + i)
            tick = store.last("EURUSD")
            assert (tick.bid, tick.ask, tick.spread) == (number, number, number)
            episode = memory.store_episode({"a": 1}, value, "context")
            assert memory.retrieve_episode(episode).performance_score == number
            if not isinstance(value, Decimal):
                sim.log_metric("x", value, 1)
                assert db.metric("a", "x") == [(1, number)]
        times = np.array([1_700_000_000_000_000_100])
        store.store_ticks("EURUSD", times, [Decimal("1.0846")], np.array([Decimal("1.0847")]))
        assert (store.last("EURUSD").bid, store.last("EURUSD").ask) == (1.0846, 1.0847)
        for value in (Decimal("1e400"), Decimal("sNaN")):
            with pytest.raises(InvalidError, match="performance_score: expected"):
                memory.store_episode({"a": 1}, value, "context")
            with pytest.raises(InvalidError, match="bid"):
                store.store_tick("EURUSD", value, 1.0)
            with pytest.raises(InvalidError, match="bid"):
                store.store_ticks("EURUSD", times, [value], [1.0])
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


@pytest.mark.parametrize("value", [2**64 + 1, np.uint64(2**63 + 1), *ROUNDED[4:5]], ids=repr)
def test_what_replaces_values_of_a_series_is_never_rounded(value):
    pd = pytest.importorskip("pandas")
    from siltstone.series import _process as process

    series = pd.Series([1.5, 2.5], pd.to_datetime(["2020-01-01", "2020-01-02"]))
    with pytest.raises(InvalidError, match="replace_with: expected a number that a float has exactly"):
        process.replace_ranges_series(series, [("2020-01-01", "2020-01-01")], value)
