"""The series store: whatever goes in comes out, from every backend."""

import datetime as dt
import os
import signal
import subprocess
import sys
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siltstone import errors, series
from siltstone.series import (
    PandasInMemoryAdapter,
    PandasOnDiskAdapter,
    PolarsAdapter,
    SeriesContainer,
    SQLDatabaseAdapter,
    StorageBackend,
    StorageConfig,
)

KINDS = ["pandas-memory", "pandas-disk", "sql"]


def make(kind, folder):
    return StorageConfig(
        backend_type=kind,
        base_path=folder / "series",
        connection_string=f"sqlite:///{folder / 'series.db'}",
    ).create_backend()


@pytest.fixture(params=KINDS)
def backend(request, tmp_path):
    return make(request.param, tmp_path)


def bits(values):
    """Floats by their bits, so that one NaN is not another."""
    array = values.to_numpy()
    return array.tobytes() if array.dtype.kind in "biufcmM" else None


def same(found, series):
    pd.testing.assert_series_equal(found, series, check_freq=True, check_exact=True)
    assert found.dtype == series.dtype and found.index.dtype == series.index.dtype
    assert bits(found) == bits(series) and type(found.index) is type(series.index)


DAYS = pd.date_range("2013-03-09", periods=4, freq="D", name="when")
INDEXES = {
    "days": DAYS,
    "days in a zone, over its summer time": pd.date_range("2010-03-13", periods=4, freq="D", tz="America/Los_Angeles"),
    "a fixed offset": DAYS.tz_localize("+05:30"),
    "UTC": DAYS.tz_localize("UTC"),
    "zoneinfo": DAYS.tz_localize(zoneinfo.ZoneInfo("Europe/Paris")),
    "irregular below a second": pd.DatetimeIndex(
        ["2013-01-01", "2013-01-01 00:00:00.5", "2013-01-01 00:00:00.500000001", "2014-01-01"]
    ),
    "seconds, before 1678": pd.DatetimeIndex(
        np.array(["1600-01-01", "1600-01-02", "9999-12-31", "0001-01-01"], "M8[s]")
    ),
    "microseconds": DAYS.as_unit("us"),
    "backwards": pd.date_range("2013-01-01", periods=4, freq="-1h"),
    "weekly": pd.date_range("2013-01-01", periods=4, freq="W-SAT"),
    "doubled and falling": pd.DatetimeIndex(["2013-01-02", "2013-01-01", "2013-01-02", "2013-01-01"]),
    "spans": pd.timedelta_range("1h", periods=4, freq="15min"),
    "range": pd.RangeIndex(10, -2, -3, name="row"),
    "integers": pd.Index([2**53 + 1, -5, 0, 2**63 - 1]),
    "small integers": pd.Index(np.array([1, 2, 3, 250], "u1")),
    "floats": pd.Index([0.1, -0.0, np.inf, 1e300]),
    "texts": pd.Index(["", "NA", "b\0c", "\N{SNAIL}"], dtype=object),
    "strings": pd.Index(["a", "b", "c", "d"], dtype="string"),
    "periods": pd.period_range("2013-01", periods=4, freq="M"),
    "categories": pd.CategoricalIndex(["b", "a", "b", "c"], categories=["c", "b", "a"], ordered=True),
}
NAN = np.array([0x7FF8_0000_DEAD_BEEF], "u8").view("f8")[0]
VALUES = {
    **{kind: np.array([0, 1, np.iinfo(kind).max, np.iinfo(kind).min], kind)
       for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")},
    "floats": np.array([NAN, -0.0, 5e-324, -np.inf]),
    "small floats": np.array([np.nan, 7.123456789, -0.0, 1e-45], "f4"),
    "half floats": np.array([np.nan, 1.5, -0.0, 65504], "f2"),
    "complex": np.array([1 + 2j, complex(np.nan, -0.0), 0, 3]),
    "booleans": np.array([True, False, True, True]),
    "times": np.array(["2013-01-01", "NaT", "1970-01-01", "2262-01-01"], "M8[ns]"),
    "times in seconds": np.array(["2013-01-01", "NaT", "0001-01-01", "9999-01-01"], "M8[s]"),
    "spans": np.array([1, 2, -3, "NaT"], "m8[ms]"),
    "times in a zone": pd.to_datetime(["2013-01-01", None, "2013-07-01", "2014-01-01"]).tz_localize(
        "Europe/Paris"
    ),
    "integers, some missing": pd.array([1, None, 2**53 + 1, -1], "Int64"),
    "bytes, none missing": pd.array([1, 2, 3, 4], "UInt8"),
    "floats, NaN and missing": pd.arrays.FloatingArray(
        np.array([1.0, np.nan, 0.0, -0.0]), np.array([False, False, True, False])
    ),
    "booleans, some missing": pd.array([True, None, False, True], "boolean"),
    "strings, some missing": pd.array(["", None, "NA", "nan"], "string"),
    "objects": np.array(["", None, "NA", "b\0c"], object),
    "binary": np.array([b"", None, b"\0\xff", b"x"], object),
    "categories": pd.Categorical(["b", None, "a", "b"], categories=["b", "a", "z"], ordered=True),
    "categories of numbers": pd.Categorical([2, 1, None, 2]),
}  # fmt: skip


if int(pd.__version__.split(".")[0]) < 3:
    del INDEXES["zoneinfo"]  # a zone comes back by its name, and this pandas makes another class of it


@pytest.mark.parametrize("index", INDEXES)
def test_every_index_comes_back(backend, index):
    """Goal: an index comes back as it was, its zone, unit and frequency too, and is never made anew."""
    data = pd.Series([1.0, np.nan, 3.0, 4.0], INDEXES[index], name="flow/NH4 'x'")
    for key, part in (("whole", data), ("empty", data.iloc[:0]), ("one", data.iloc[1:2])):
        backend.save(part, key, {})
        same(backend.load(key)[0], part)


@pytest.mark.parametrize("values", VALUES)
def test_every_dtype_comes_back_by_bits(backend, values):
    """Goal: a value comes back by bits, missing as missing."""
    data = pd.Series(VALUES[values], DAYS)
    for key, part in (("whole", data), ("empty", data.iloc[:0]), ("strided", data.iloc[::2])):
        backend.save(part, key, {})
        same(backend.load(key)[0], part)


@pytest.mark.parametrize(
    "data",
    [
        pd.Series([1, "a", None]),
        pd.Series([[1], [2]]),
        pd.Series([1.0], pd.MultiIndex.from_tuples([(1, 2)])),
        pd.Series([1.0], pd.IntervalIndex.from_breaks([0, 1])),
        pd.Series([1.0, 2.0], pd.Index(["a", 1], dtype=object)),
        pd.Series([1.0], pd.DatetimeIndex([None])),
        pd.Series([1.0], name=("a", 1)),
        [1.0, 2.0],
    ],
)
def test_what_could_not_come_back_is_refused(backend, data):
    """Goal: nothing is stored in a changed form; what was there stays."""
    old = pd.Series([5.0], DAYS[:1])
    backend.save(old, "k", {"old": 1})
    with pytest.raises(errors.InvalidError):
        backend.save(data, "k", {})
    found, metadata = backend.load("k")
    same(found, old)
    assert metadata == {"old": 1}


METADATA = {
    "tuple": (1, ("a", [2.5, None]), ()),
    "stamp": pd.Timestamp("2013-01-01 12:00", tz="Europe/Paris"),
    "naive": pd.Timestamp("2013-01-01").as_unit("s"),
    "span": pd.Timedelta("3h"),
    "datetime": dt.datetime(2013, 1, 1, tzinfo=dt.timezone.utc),
    "date": dt.date(2013, 1, 1),
    "time": dt.time(12, 30),
    "timedelta": dt.timedelta(-1, 5, 7),
    "scalar": np.float32(0.1),
    "bytes": b"\0\xff",
    "infinite": [np.inf, -np.inf],
    "long": 2**100,
    "complex": 1 - 2j,
    1: {"a key that is no text": {(1, 2): "tuple key"}},
    "$silt": "tuple",
    "tag": {"$silt": "tuple", "value": [1]},
    "": {"deep": [{"er": True}]},
}


def test_metadata_come_back_equal_and_are_not_changed(backend):
    """Goal: types too, and the caller's dictionary is not touched."""
    given = dict(METADATA)
    backend.save(pd.Series([1.0], DAYS[:1]), "k", given)
    assert given == METADATA
    found = backend.load("k")[1]
    assert found == METADATA and list(found) == list(METADATA)
    for key, value in METADATA.items():
        assert type(found[key]) is type(value), key
    assert found["stamp"].tz.utcoffset(found["stamp"]) == dt.timedelta(hours=1)
    assert found["naive"].unit == "s"
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    backend.set_metadata("k", {"array": array, "nan": float("nan")})
    found = backend.metadata("k")
    assert found["array"].dtype == array.dtype and (found["array"] == array).all()
    assert np.isnan(found["nan"])
    for bad in ({"x": {1, 2}}, {"x": [object()]}, {"f": len}, {"m": np.array([None])}, {"s": "\ud800"}):
        with pytest.raises(errors.InvalidError, match="metadata"):
            backend.save(pd.Series([2.0], DAYS[:1]), "k", bad)
    assert backend.load("k")[0].iloc[0] == 1.0


def test_any_text_is_a_key(backend, tmp_path):
    """Goal: no key is a path, no two keys meet, and each is listed as it is."""
    keys = ["a/b", "a_b", "../up", "/", "", "a\0b", "CON", "'; DROP TABLE x; --", "é", "k" * 10_000]
    for i, key in enumerate(keys):
        backend.save(pd.Series([i]), key, {"i": i})
    for i, key in enumerate(keys):
        assert backend.load(key)[1] == {"i": i} and key in backend
    assert backend.list_keys() == sorted(keys) and len(backend) == len(keys)
    assert backend.list_keys("a") == ["a\0b", "a/b", "a_b"]
    assert not (tmp_path.parent / "up").exists() and set(os.listdir(tmp_path)) <= {
        "series", "series.db", "series.db-wal", "series.db-shm",
    }  # fmt: skip


def test_a_missing_key_is_a_key_error(backend):
    """Goal: meteaudata's error, which names key and place."""
    for call in (backend.load, backend.delete, backend.info, backend.load_range):
        with pytest.raises(KeyError, match="plant/x"):
            call("plant/x")
    assert not backend.exists("plant/x")


def test_appends_and_ranges(backend):
    """Goal: appended points stand behind the others, and a range is that of pandas' labels."""
    whole = pd.Series(
        np.random.default_rng(1).normal(size=3_000),
        pd.date_range("2013-03-30", periods=3_000, freq="min", tz="Europe/Paris"),
        name="flow",
    )
    for start in range(0, 3_000, 700):
        assert backend.append("k", whole[start : start + 700]) == len(whole[start : start + 700])
    found, _ = backend.load("k")
    pd.testing.assert_series_equal(found, whole, check_freq=False, check_exact=True)
    zone, first, last = whole.index.tz, "2013-03-31 01:00", "2013-03-31 04:00"
    for got, wanted in (
        (backend.load_range("k", first, last), whole.loc[pd.Timestamp(first, tz=zone) : pd.Timestamp(last, tz=zone)]),
        (backend.load_range("k", dt.date(2013, 3, 31), dt.date(2013, 3, 31)), whole.loc["2013-03-31"]),
        (backend.load_range("k", *[np.datetime64("2013-03-31")] * 2), whole.loc["2013-03-31"]),
        (backend.load_range("k", np.datetime64("2013-04")), whole.loc["2013-04":]),
        (backend.load_range("k", None, np.datetime64("2013-03")), whole.loc[:"2013-03"]),
        (backend.load_range("k", None, whole.index[9], closed="left"), whole[:9]),
        (backend.load_range("k", whole.index[9], closed="neither"), whole[10:]),
        (backend.load_range("k", np.datetime64("2013-04-02", "s")), whole[:0]),
    ):
        pd.testing.assert_series_equal(got, wanted, check_freq=False, check_exact=True)
    info = backend.info("k")
    assert info.length == 3_000 and info.name == "flow" and info.is_sorted
    assert pd.Timestamp(info.first, tz="UTC") == whole.index[0]
    assert pl.DataFrame(backend.scan("k", first, last)).height == 121
    with pytest.raises(errors.InvalidError):
        backend.append("k", pd.Series([1.0], pd.RangeIndex(1)))
    with pytest.raises(errors.InvalidError, match="start"):
        backend.load_range("k", "no time")


def test_several_at_once_are_all_or_none(backend):
    """Goal: one commit for many series."""
    several = {f"s{i}": pd.Series(np.arange(i, dtype="f8")) for i in range(20)}
    backend.save_many(several)
    for key, (found, _) in backend.load_many(several).items():
        same(found, several[key])
    with pytest.raises(errors.InvalidError):
        backend.save_many([("new", pd.Series([1.0]), {}), ("s0", pd.Series([[1]]), {})])
    assert not backend.exists("new") and backend.info("s0").length == 0
    backend.rename("s1", "one")
    backend.copy("one", "two")
    with pytest.raises(FileExistsError):
        backend.copy("one", "two")
    backend.clear()
    assert backend.list_keys() == []


index_values = st.sampled_from(
    [pd.RangeIndex(40), pd.date_range("2020-10-24", periods=40, freq="h", tz="Europe/Paris")]
)


@pytest.mark.parametrize("kind", KINDS)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["save", "append", "delete", "rename"]),
            st.sampled_from(["a", "a/b", ""]),
            st.lists(st.floats(width=64), max_size=40),
        ),
        max_size=12,
    ),
    index=index_values,
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_calls_give_what_a_dictionary_gives(kind, tmp_path_factory, steps, index):
    """Goal: whatever is done, every series is what a dictionary of pandas would hold."""
    backend, model = make(kind, tmp_path_factory.mktemp("model")), {}
    for what, key, values in steps:
        data = pd.Series(np.array(values, "f8"), index[: len(values)])
        if what == "save":
            backend.save(data, key, {"n": len(values)})
            model[key] = data
        elif what == "append":
            backend.append(key, data, overlap="keep")
            model[key] = pd.concat([model[key], data]) if key in model else data
        elif key in model and what == "delete":
            backend.delete(key)
            del model[key]
        elif key in model and "moved" not in model:
            backend.rename(key, "moved")
            model["moved"] = model.pop(key)
    assert backend.list_keys() == sorted(model)
    for key, data in model.items():
        found = backend.load(key)[0]
        assert bits(found) == bits(data)
        assert found.index.equals(data.index)


def test_the_meteaudata_names_and_a_backend_of_ones_own(tmp_path):
    """Goal: the four adapters are what the protocol asks for, and so is a user's class without a base."""

    class Own:
        def __init__(self):
            self.kept = {}

        def save(self, data, key, metadata):
            self.kept[key] = (data, metadata)

        def load(self, key):
            return self.kept[key]

        def delete(self, key):
            del self.kept[key]

        def exists(self, key):
            return key in self.kept

        def list_keys(self):
            return list(self.kept)

        def to_pandas(self, data):
            return data

        def from_pandas(self, data):
            return data

    for backend in (
        PandasInMemoryAdapter(),
        PandasOnDiskAdapter(tmp_path / "a"),
        PandasOnDiskAdapter(),
        PolarsAdapter(tmp_path / "b"),
        SQLDatabaseAdapter(),
        Own(),
    ):
        assert isinstance(backend, StorageBackend)
        container = SeriesContainer(backend, key="k", data=backend.from_pandas(pd.Series([1.0, 2.0])))
        container.save({"unit": "m"})
        again = SeriesContainer(backend, key="k")
        assert not again.is_loaded and again.metadata == {"unit": "m"}
        assert len(again) == 2 and again.to_pandas().tolist() == [1.0, 2.0] and again.is_loaded
        again.unload()
        assert not again.is_loaded
        again.materialize()
        assert again.is_loaded


def test_a_container_knows_without_loading_and_does_not_forget_unsaved_points(backend):
    """Goal: length, range and metadata without the points; unsaved points are never dropped by default."""
    data = pd.Series([1.0, 2.0, 3.0], DAYS[:3])
    backend.save(data, "k", {"unit": "m"})
    container = SeriesContainer(backend, "k")
    assert len(container) == 3 and container.range == (DAYS[0], DAYS[2])
    assert container.metadata == {"unit": "m"} and not container.is_loaded
    assert repr(container) == "SeriesContainer(key='k', not loaded)"
    container.data = data * 2
    with pytest.raises(ValueError, match="unsaved"):
        container.unload()
    container.save()
    container.unload()
    same(container.data, data * 2)
    with pytest.raises(ValueError):
        SeriesContainer(backend)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris", "America/St_Johns"])
def test_sql_sees_the_texts_that_pandas_gives(tmp_path, zone):
    """Goal: an index value is what ``str()`` gives, and a number is the number."""
    backend = SQLDatabaseAdapter(f"sqlite:{tmp_path}/s.db")
    times = pd.DatetimeIndex(
        ["1899-12-31", "1969-12-31 23:59:59.999999999", "2013-01-01 00:00:00.5", "2026-10-25 00:30"],
        tz="UTC",
    ).tz_convert(zone)
    values = pd.Series([1.5, np.nan, -2.0, 0.1], times)
    backend.save(values, "a", {"unit": "m"})
    spans = pd.TimedeltaIndex(["1 days", "-1 ns", "12 days 03:04:05.000006"])
    backend.save(pd.Series(["x", "", None], spans), "b", {})
    sql = "SELECT index_value, value FROM time_series_data WHERE key = {!r} ORDER BY idx"
    rows = backend.sql(sql.format("a")).rows
    wanted = [(str(time), None if np.isnan(x) else x) for time, x in values.items()]
    assert [tuple(row) for row in rows] == wanted
    rows = backend.sql(sql.format("b")).rows
    assert [tuple(row) for row in rows] == list(zip(map(str, spans), ["x", "", None], strict=True))
    late = "SELECT count(*) FROM time_series_data WHERE key = 'a' AND index_value >= '2013-01-01'"
    assert backend.sql(late)[0][0] == sum(str(time) >= "2013-01-01" for time in times)
    with pytest.raises(errors.InvalidError, match="an SQLite file"):
        series.open("memory:").sql("SELECT 1")


def test_polars_keeps_the_index(tmp_path):
    """Goal: a Polars Series comes back as one, and a pandas index is not lost on the way."""
    backend = PolarsAdapter(tmp_path)
    data = pd.Series([1.0, 2.0], DAYS[:2], name="flow")
    backend.save(data, "k", {})
    loaded = backend.load("k")[0]
    assert isinstance(loaded, pl.Series) and loaded.to_list() == [1.0, 2.0] and loaded.name == "flow"
    same(backend.load_pandas("k")[0], data)
    assert backend.load_frame("k").columns == ["when", "flow"]
    backend.save(pl.Series("x", [1, 2, 3]), "p", {})
    assert backend.load("p")[0].equals(pl.Series("x", [1, 2, 3]))


def test_other_programs_read_the_files(tmp_path):
    """Goal: a Parquet file has the columns of the series for anybody, and SQL sees the documented tables."""
    data = pd.Series([1.5, 2.5], DAYS[:2], name="flow")
    PandasOnDiskAdapter(tmp_path / "p").save(data, "k", {"unit": "m"})
    [file] = (tmp_path / "p").glob("*.parquet")
    frame = pd.read_parquet(file)
    assert frame["flow"].tolist() == [1.5, 2.5] and frame["when"].tolist() == list(DAYS[:2])
    assert pl.read_parquet(file).columns == ["when", "flow"]


def test_a_wrong_configuration_is_an_error_without_its_secret():
    """Goal: what is wrong is named, and a password never is."""
    with pytest.raises(ValueError, match="backend_type"):
        StorageConfig(backend_type="csv").create_backend()
    secret = StorageConfig(backend_type="sql", connection_string="mysql://me:hunter2@host/db")
    assert "hunter2" not in repr(secret)
    with pytest.raises(ValueError, match="sqlite:FILE") as raised:
        secret.create_backend()
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ValueError):
        series.open("sqlite:")


@pytest.mark.parametrize("kind", ["pandas-disk", "sql"])
def test_a_killed_process_leaves_the_old_or_the_new(kind, tmp_path):
    """Goal: kill -9 in a loop that overwrites one key: data and metadata always belong together."""
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
import numpy as np, pandas as pd
from test_series import make
backend = make({kind!r}, Path({str(tmp_path)!r}))
print("ready", flush=True)
for n in range(10**9):
    backend.save(pd.Series(np.full(20_000, float(n))), "k", {{"n": n}})
    backend.save_many([("a", pd.Series([float(n)]), {{"n": n}}), ("b", pd.Series([float(n)]), {{"n": n}})])
    if n == 3:
        print("going", flush=True)
"""
    for i in range(6):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n" and process.stdout.readline() == "going\n"
        signal.sigtimedwait([], 0.01 + 0.013 * i)
        process.kill()
        process.communicate()
        backend = make(kind, tmp_path)
        data, metadata = backend.load("k")
        assert len(data) == 20_000 and set(data) == {float(metadata["n"])}
        (a, of_a), (b, of_b) = backend.load("a"), backend.load("b")
        assert of_a == of_b and a[0] == b[0] == of_a["n"]
        backend.clear()


@pytest.mark.parametrize("kind", ["pandas-disk", "sql"])
def test_two_processes_append_to_one_store(kind, tmp_path):
    """Goal: to one series and to one of their own: no point is lost, doubled or torn."""
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
import pandas as pd
from test_series import make
backend = make({kind!r}, Path({str(tmp_path)!r}))
own = float(sys.argv[1])
for n in range(40):
    backend.append("both", pd.Series([own, own, own]), overlap="keep")
    backend.append(sys.argv[1], pd.Series([float(n)]), overlap="keep")
"""
    make(kind, tmp_path)
    processes = [subprocess.Popen([sys.executable, "-c", program, name]) for name in ("1", "2")]
    assert [process.wait(120) for process in processes] == [0, 0]
    backend = make(kind, tmp_path)
    for name in ("1", "2"):
        assert backend.load(name)[0].tolist() == list(map(float, range(40)))
    both = backend.load("both")[0].to_numpy().reshape(-1, 3)
    assert len(both) == 80 and (both == both[:, :1]).all() and both.sum() == 40 * 3 * 3


def test_attributes_come_back(backend):
    """Goal: what pandas keeps with a series is kept with it; what cannot come back is refused before any write."""
    one = pd.Series([1.0, 2.0], name="flow")
    one.attrs = {"units": "m3/h", "at": pd.Timestamp("2026-01-01"), "deep": {"pair": (1, 2)}}
    backend.save(one, "k", {})
    found = backend.to_pandas(backend.load("k")[0])
    if backend.get_backend_type() == "parquet" and type(backend).__name__ == "PolarsAdapter":
        found = backend.load_pandas("k")[0]
    assert found.attrs == one.attrs
    endless = {}
    endless["again"] = endless
    for bad in ({"x": object()}, endless):
        one.attrs = bad
        with pytest.raises(ValueError, match="attrs|metadata"):
            backend.save(one, "k", {})
        with pytest.raises(ValueError, match="metadata"):
            backend.save(pd.Series([1.0]), "k", bad)
    assert backend.load_many(["k"]).keys() == {"k"}
