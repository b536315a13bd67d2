"""Units of times, kinds of numbers, and texts for times: what goes together, what is widened, what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from siltstone.errors import InvalidError
from siltstone.simulation import SimulationDatabase
from siltstone.ticks import TickStore, TickStoreConfig, doctor

pd = pytest.importorskip("pandas")

from siltstone import series


@pytest.fixture(params=["memory:", "sqlite:{}/units.db", "parquet:{}/units"])
def backend(request, tmp_path):
    return series.open(request.param.format(tmp_path))


def at(unit, *times):
    return pd.DatetimeIndex(np.array(times, f"M8[{unit}]"))


def test_points_of_another_type_are_converted_or_the_series_is_widened(backend):
    backend.save(pd.Series([1.0, 2.0], at("us", "2024-01-30", "2024-01-31")), "q", {"unit": "C"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.append("q", pd.Series([4], at("ns", "2024-02-01"))) == 1
    loaded, metadata = backend.load("q")
    assert (loaded.tolist(), loaded.dtype, loaded.index.unit) == ([1.0, 2.0, 4.0], float, "us")
    with pytest.warns(UserWarning, match=r"q.*widened: index datetime64\[us\] to datetime64\[ns\]"):
        backend.append("q", pd.Series([5.5], at("ns", "2024-02-02T00:00:00.000000001")))
    loaded, metadata = backend.load("q")
    assert (loaded.tolist(), loaded.index.unit, metadata) == ([1.0, 2.0, 4.0, 5.5], "ns", {"unit": "C"})
    assert loaded.index[0] == pd.Timestamp("2024-01-30") and loaded.index[3].nanosecond == 1


def test_whole_numbers_become_decimals_and_back(backend):
    backend.save(pd.Series([1, 2], pd.RangeIndex(2), dtype="Int64"), "n")
    with pytest.warns(UserWarning, match="values int64 to float64"):
        backend.append("n", pd.Series([2.5], [2]))
    loaded, _ = backend.load("n")
    assert (loaded.tolist(), loaded.dtype) == ([1.0, 2.0, 2.5], float)
    with pytest.raises(InvalidError, match="without loss"):
        backend.append("n", pd.Series([2**53 + 1], [3]))
    with pytest.raises(InvalidError, match="without loss"):
        backend.append("n", pd.Series(["a"], [3]))
    assert backend.load("n")[0].equals(loaded)
    # Floats stay floats, though an integer column would hold all of it.
    backend.save(pd.Series([1.0, 2.0**53], [0, 1]), "f")
    with pytest.raises(InvalidError, match="expected float64.*got int64"):
        backend.append("f", pd.Series([2**53 + 1], [2]))
    assert backend.load("f")[0].dtype == float


def test_points_that_overlap_stored_ones_are_refused_unless_a_rule_says_more(backend):
    stored = pd.Series([1, 2, 3], [0, 1, 2], dtype="int64")
    backend.save(stored, "o", {"unit": "C"})
    for late in (stored, stored[2:], pd.Series([9], [1])):
        with pytest.raises(InvalidError, match='series "o".*later than the last'):
            backend.append("o", late)
    with pytest.raises(InvalidError, match="overlap"):
        backend.append("o", stored, overlap="double")
    # What is skipped widens nothing, though it is a float; that the stored value is another one is said.
    for values, index, added in (([0.5, 0.5], [1, 2], 0), ([0.5, 4.0], [2, 3], 1)):
        with pytest.warns(UserWarning) as said:
            assert backend.append("o", pd.Series(values, index), overlap="skip") == added
        assert len(said) == 1 and f"skipped: {2 - added}, the first at" in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.append("o", pd.Series([3, 4], [2, 3]), overlap="skip") == 0
    loaded = backend.load("o")[0]
    assert (loaded.tolist(), str(loaded.dtype)) == ([1, 2, 3, 4], "int64")
    backend.append("o", pd.Series([7], [1]), overlap="replace")
    assert backend.append("o", stored[2:], overlap="keep") == 1
    assert backend.load("o")[0].tolist() == [1, 7, 3, 4, 3]
    with pytest.raises(InvalidError, match="rises"):
        backend.append("o", pd.Series([1], [9]))
    assert backend.load("o")[1] == {"unit": "C"}


def test_an_empty_month_goes_with_any_type(backend):
    backend.save(pd.Series([None, None], pd.RangeIndex(2), dtype="str"), "e")
    with pytest.warns(UserWarning, match="widened"):
        backend.append("e", pd.Series([1, 2], [2, 3]))
    loaded, _ = backend.load("e")
    assert loaded.isna().tolist() == [True, True, False, False] and loaded.tolist()[2:] == [1, 2]
    backend.append("e", pd.Series([None], [4], dtype="str"))
    assert backend.load("e")[0].isna().tolist() == [True, True, False, False, True]


def test_a_text_names_all_that_begins_with_it(backend):
    data = pd.Series(range(72), pd.date_range("2024-01-30", periods=72, freq="h"))
    backend.save(data, "r")
    for start, end in [("2024-01-30", "2024-01-31"), ("2024-01-30 05", None), (None, "2024-02")]:
        found = backend.load_range("r", start, end)
        assert found.equals(data.loc[start:end]), (start, end)
    assert len(backend.load_range("r", "2024-01-30", "2024-01-31", "left")) == 24
    assert len(backend.load_range("r", "2024-01-30", "2024-01-31", "neither")) == 0
    assert len(backend.load_range("r", "2024-01-30", "2024-02-01", "right")) == 48
    for text in ["yesterday", "2024-13", "31.01.2024", "2024-01-30+01:00", ""]:
        with pytest.raises(InvalidError, match="start"):
            backend.load_range("r", text)
    spans = pd.Series(range(3), pd.timedelta_range(0, periods=3, freq="D"))
    backend.save(spans, "s")
    assert backend.load_range("s", None, "1 days").tolist() == [0, 1]


def test_a_local_hour_that_comes_twice_is_found(backend):
    zone = "America/New_York"
    data = pd.Series(range(6), pd.date_range("2022-11-06", periods=6, freq="h", tz=zone))
    backend.save(data, "z")
    assert backend.load_range("z", "2022-11-06 01:00").tolist() == [1, 2, 3, 4, 5]
    assert backend.load_range("z", "2022-11-06 01:00-05:00").tolist() == [2, 3, 4, 5]
    with pytest.raises(InvalidError, match="start.*offset"):
        backend.load_range("z", pd.Timestamp("2022-11-06 01:00"))


def test_tick_times_as_texts_keep_nanoseconds(tmp_path):
    with TickStore(TickStoreConfig.production("B", sqlite_base_path=tmp_path)) as store:
        store.store_tick("A", 1.0, 2.0, time="2024-03-01T10:00:00.123456789Z")
        store.store_tick("A", 1.0, 2.0, time="2024-03-01T10:00:00.5+01:00")
        store.flush()
        assert store.get_recent_ticks("A").time_ns.tolist() == [1709283600500000000, 1709287200123456789]
        at = 1709287200123456789
        store.store_ticks("B", np.array([at, at + 100, at + 900]), [1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
        found = store.get_ticks_in_range("B", "2024-03-01T10:00:00.123456889Z", "2024-03-01T10:00:00.123457689Z")
        assert found.bid.tolist() == [2.0, 3.0]
        with pytest.raises(InvalidError, match="ISO 8601"):
            store.store_tick("A", 1.0, 2.0, time="2024-03-01T10:00:00.1234567891Z")


def test_times_in_another_unit_than_ns_are_suspected(tmp_path):
    for n, unit in [(1_709_287_200, "s"), (1_709_287_200_123, "ms"), (1_709_287_200_123_456, "us")]:
        base = tmp_path / unit
        with TickStore(TickStoreConfig.production("B", sqlite_base_path=base)) as store:
            with pytest.warns(RuntimeWarning, match=f"seems to be in {unit} since 1970"):
                store.store_ticks("A", np.array([n, n + 1]), [1.0, 2.0], [2.0, 3.0])
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                store.store_tick("A", 1.0, 2.0, time=n)
        (finding,) = doctor(base).findings
        assert f"in {unit} since 1970" in finding[1]


def test_times_of_another_unit_are_refused_and_states_stay(tmp_path):
    with SimulationDatabase(tmp_path / "unit.db") as db:

        def put(t, unit):
            values = {"id": [1], "when": np.array(["2024-01-01"], unit)}
            db.store_update(t, 0, "net", {"v": values})

        put(0, "M8[s]")
        with pytest.raises(InvalidError, match="net/v/when"):
            put(1, "M8[ns]")
        put(2, "M8[s]")
        for t in (0, 2):
            assert db.state_at("net", "v", t)["when"]["data"].tolist() == [pd.Timestamp("2024-01-01").to_pydatetime()]


def test_a_group_without_ids_is_known_by_positions(tmp_path):
    with SimulationDatabase(tmp_path / "positions.db") as db:
        lists = {"data": [1, 2, 3], "row_ptr": [0, 2, 3]}
        db.store_update(0, 0, "net", {"v": {"x": {"data": [0.5, 1.5]}, "lists": lists}})
        state = db.state_at("net", "v", 0)
        assert state["id"]["data"].tolist() == [0, 1]
        assert state["x"]["data"].tolist() == [0.5, 1.5]
        assert [row.tolist() for row in state.rows("lists")] == [[1, 2], [3]]
        assert list(db.get_dataset_updates("net")[0]["v"]) == ["x", "lists"]
