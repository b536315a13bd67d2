"""The series store and the less common types of pandas; appended points that mean something else."""

import datetime as dt
import decimal
import pickle
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from siltstone import series
from siltstone.errors import InvalidError, InvalidTypeError

DAYS = pd.date_range("2013-03-09", periods=4, freq="D")
BACKENDS = ["memory:", "parquet:{}/series", "sqlite:{}/series.db"]


@pytest.fixture(params=BACKENDS, ids=lambda url: url.partition(":")[0])
def backend(request, tmp_path):
    return series.open(request.param.format(tmp_path))


def same(found, data):
    pd.testing.assert_series_equal(found, data, check_exact=True)
    assert found.dtype == data.dtype and found.index.dtype == data.index.dtype
    assert type(found.index) is type(data.index)


def arrow(values, kind):
    return pd.arrays.ArrowExtensionArray(pa.array(values, kind, from_pandas=False))


NOON = dt.datetime(2013, 7, 1, 12)
ARROW = {
    "integers": arrow([1, None, 2**53 + 1, -1], pa.int64()),
    "bytes, none missing": arrow([1, 2, 3, 255], pa.uint8()),
    "floats, NaN and missing": arrow([1.0, None, float("nan"), -0.0], pa.float64()),
    "small floats": arrow([1.0, None, 0.5, -0.0], pa.float32()),
    "booleans": arrow([True, None, False, True], pa.bool_()),
    "texts": arrow(["", None, "NA", "nan"], pa.string()),
    "large texts": arrow(["", None, "NA", "nan"], pa.large_string()),
    "binary": arrow([b"", None, b"\0\xff", b"x"], pa.binary()),
    "times": arrow([NOON, None, NOON, NOON], pa.timestamp("us")),
    "times in a zone": arrow([NOON, None, NOON, NOON], pa.timestamp("ms", "Europe/Paris")),
    "spans": arrow([1, None, 3, -4], pa.duration("s")),
}
INDEXES = {
    "Int64": pd.Index([1, 2, 2**53 + 1, -4], dtype="Int64"),
    "UInt8": pd.Index([1, 2, 3, 255], dtype="UInt8"),
    "Float64": pd.Index([1, 2, 3, 4.5], dtype="Float64"),
    "boolean": pd.Index([True, False, True, True], dtype="boolean"),
    "Arrow's integers": pd.Index(arrow([1, 2, 3, 4], pa.int64())),
    "Arrow's texts": pd.Index(arrow(["a", "", "c", "d"], pa.string())),
    "Arrow's times": pd.Index(arrow([NOON] * 4, pa.timestamp("us", "Europe/Paris"))),
    "strings of Arrow": pd.Index(list("abcd"), dtype="string[pyarrow]"),
    "strings of Python": pd.Index(list("abcd"), dtype="string[python]"),
    "weeks": pd.period_range("2013-01-02", periods=4, freq="W-WED"),
}


@pytest.mark.parametrize("values", ARROW)
def test_arrow_backed_values_come_back_of_their_type(backend, values):
    """Goal: what `dtype_backend="pyarrow"` gives is kept, missing as missing and NaN as NaN."""
    data = pd.Series(ARROW[values], DAYS)
    for part in (data, data.iloc[:0], data.iloc[::2]):
        backend.save(part, "k", {})
        found = backend.load("k")[0]
        assert found.dtype == part.dtype
        # As texts: a NaN is not equal to itself.
        assert repr(found.array.__arrow_array__().to_pylist()) == repr(part.array.__arrow_array__().to_pylist())


@pytest.mark.parametrize("index", INDEXES)
def test_nullable_and_arrow_backed_indexes_come_back(backend, index):
    """Goal: an index of a type that knows missing values, and has none, comes back of that type, also appended to."""
    data = pd.Series([1.0, 2.0, 3.0, 4.0], INDEXES[index])
    for part in (data, data.iloc[:0]):
        backend.save(part, "k", {})
        same(backend.load("k")[0], part)
    for part in (data.iloc[:2], data.iloc[2:]):
        backend.append("a", part, overlap="keep")
    same(backend.load("a")[0], data)


@pytest.mark.parametrize("storage", ["pyarrow", "python"])
def test_texts_keep_their_storage(backend, storage):
    """Goal: a `string` dtype comes back with the storage that it had."""
    data = pd.Series(pd.array(["a", None, "", "d"], pd.StringDtype(storage)), DAYS)
    backend.save(data, "k", {})
    same(backend.load("k")[0], data)


@pytest.mark.parametrize(
    ("kept", "other"),
    [
        (pd.Series(pd.Categorical(["a", "b"])), pd.Series(pd.Categorical(["z", "y"]))),
        (pd.Series(pd.Categorical(["a", "b"])), pd.Series(np.array([0, 1], "i4"))),
        (
            pd.Series([1.0, 2.0], pd.CategoricalIndex(["a", "b"])),
            pd.Series([1.0, 2.0], pd.CategoricalIndex(["z", "y"])),
        ),
        (
            pd.Series([1.0, 2.0], pd.period_range("2013", periods=2, freq="M")),
            pd.Series([1.0, 2.0], pd.period_range("2013", periods=2, freq="D")),
        ),
        (pd.Series([1.0, 2.0], [True, False]), pd.Series([1.0], pd.Index([5], dtype="uint8"))),
    ],
    ids=["categories", "plain numbers", "index categories", "periods", "booleans"],
)
def test_points_that_mean_something_else_are_not_appended(backend, kept, other):
    """Goal: numbers that stand for other categories or periods are refused, not taken for those of the series."""
    backend.save(kept, "k", {})
    with pytest.raises(InvalidError, match="to append"):
        backend.append("k", other, overlap="keep")
    same(backend.load("k")[0], kept)
    backend.append("k", kept, overlap="keep")
    assert backend.load("k")[0].tolist() == kept.tolist() * 2


def test_a_local_time_zone_without_a_name_is_refused(backend, monkeypatch):
    """Goal: a zone that changes its offset is not kept as the one that it has in winter."""
    tz = pytest.importorskip("dateutil.tz")
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        data = pd.Series([1.0] * 4, DAYS.tz_localize(tz.tzlocal()))
        with pytest.raises(InvalidTypeError, match="a time zone"):
            backend.save(data, "k", {})
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_end_may_lie_beyond_all_values_and_between_them(backend):
    """Goal: a range may have ends that no value of the index can have, as in pandas."""
    numbers = pd.Series([1.0, 2.0, 3.0], [-1, 0, 1])
    backend.save(numbers, "n", {})
    for start, end, want in [
        (-np.inf, np.inf, 3), (-0.5, 0.5, 1), (-(2**70), 2**70, 3), (2**70, None, 0), (None, -1e30, 0), (0.5, None, 1)
    ]:  # fmt: skip
        assert len(backend.load_range("n", start, end)) == want, (start, end)
    backend.save(pd.Series([1.0] * 4, DAYS.as_unit("ns")), "t", {})
    assert len(backend.load_range("t", "0001-01-01", "9999-01-01")) == 4
    assert len(backend.load_range("t", "9999-01-01")) == 0


def test_one_text_is_not_taken_for_many_keys(backend):
    """Goal: a text in place of a list of keys is an error, not a key a letter."""
    backend.save(pd.Series([1.0]), "k", {})
    with pytest.raises(InvalidTypeError, match="several"):
        backend.load_many("k")


def test_a_backend_goes_to_another_process(tmp_path):
    """Goal: a pickled backend opens the same place again; what is in memory is refused by name."""
    for made in (
        series.open(f"sqlite:{tmp_path}/s.db"),
        series.PandasOnDiskAdapter(tmp_path / "folder"),
        series.SQLDatabaseAdapter(),
    ):
        made.save(pd.Series([1.0]), "k", {})
        again = pickle.loads(pickle.dumps(made))
        assert type(again) is type(made) and again.list_keys() == ["k"]
    with pytest.raises(InvalidTypeError, match="pickle"):
        pickle.dumps(series.open("memory:"))


def polars_cases():
    """A series of each dtype of Polars that has one value for a row, with a null beside it."""
    pl = pytest.importorskip("polars")
    day, span = dt.datetime(2020, 1, 1, 2, 3, 4), dt.timedelta(days=1, microseconds=1)
    made = [
        pl.Series("x", [2**53 + 1, None]),
        pl.Series("x", [1, 2**64 - 1], dtype=pl.UInt64),
        pl.Series("x", [True, None]),
        pl.Series("x", [1.0, float("nan"), None, -0.0]),
        pl.Series("x", [0.5, None], dtype=pl.Float32),
        pl.Series("x", [day.date(), None]),
        pl.Series("x", [day.time(), None]),
        pl.Series("x", [day, None], dtype=pl.Datetime("ns", "Europe/Paris")),
        pl.Series("x", [day, None], dtype=pl.Datetime("ms")),
        pl.Series("x", [span, None]),
        pl.Series("x", [span, None], dtype=pl.Duration("ms")),
        pl.Series("x", ["b", "a", None], dtype=pl.Categorical),
        pl.Series("x", ["a", None], dtype=pl.Enum(["b", "a"])),
        pl.Series("x", [decimal.Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
        pl.Series("x", [None, None]),
        pl.Series("x", ["é", "", None]),
        pl.Series("", [b"a", b"", None]),
        pl.Series("x", [], dtype=pl.Int8),
        pl.Series("x", [], dtype=pl.Date),
    ]
    wide = [getattr(pl, name) for name in ("Int128", "UInt128", "Float16") if hasattr(pl, name)]
    return [*made, *(pl.Series("x", [1, None], dtype=dtype) for dtype in wide)]


def test_polars_series_come_back_as_they_were(tmp_path):
    """Goal: no value, null or dtype of Polars changes on the way, since pandas is not on it."""
    pl = pytest.importorskip("polars")
    from polars.testing import assert_series_equal

    adapter = series.PolarsAdapter(tmp_path)
    for given in polars_cases():
        adapter.save(given, "k", {})
        (got, _), ranged = adapter.load("k"), adapter.load_range("k", 0, len(given))
        for found in (got, ranged):
            assert (found.dtype, found.name) == (given.dtype, given.name)
            assert_series_equal(found, given)
            # NaN is no null, and -0.0 is not 0.0.
            assert repr(found.to_list()) == repr(given.to_list())
        assert len(adapter.to_pandas(got)) == len(given)
    assert adapter.to_pandas(pl.Series("x", [2**53 + 1, None])).tolist()[0] == 2**53 + 1
    for odd in (pl.Series("x", [[1]]), pl.Series("x", [{"a": 1}]), pl.Series("x", [object()], dtype=pl.Object)):
        with pytest.raises(InvalidTypeError, match="the values"):
            adapter.save(odd, "k", {})


CODED = {
    "months and texts": (pd.period_range("2024-01", periods=4, freq="M"), ["dry", "wet"], ["2024-01", "2024-04"]),
    "weeks and numbers": (
        pd.period_range("2013-01-02", periods=4, freq="W-WED"),
        [2.5, 0.5],
        ["2012-12-27/2013-01-02", "2013-01-17/2013-01-23"],
    ),
    "categories and integers": (pd.CategoricalIndex(["b", "a", "b", "c"]), [7, -1], ["b", "c"]),
    "booleans": (pd.Index([True, False, True, True]), [True, False], [True, True]),
}


@pytest.mark.parametrize("name", CODED)
def test_other_programs_get_what_codes_stand_for(backend, tmp_path, name):
    index, categories, ends = CODED[name]
    values = pd.Categorical([categories[1], None, *categories], categories=categories, ordered=True)
    data = pd.Series(values, index, name="v")
    backend.save(data, "k")
    same(backend.load("k")[0], data)
    table = pa.table(backend.scan("k"))
    assert table.column(1).to_pylist() == list(data.astype(object).where(data.notna(), None))
    shown = table.column(0).to_pylist()
    assert [shown[0], shown[-1]] == ends
    for file in (tmp_path / "series").glob("silt-*.parquet"):
        read = pd.read_parquet(file)
        assert read["index"].tolist() == shown
        assert read["v"].dropna().tolist() == data.dropna().tolist()


def test_a_series_of_categories_is_an_arrow_table_of_values():
    data = pd.Series(pd.Categorical(["dry", "wet"]), pd.period_range("2024-01", periods=2, freq="M"), name="sky_RAW#1")
    table = series.TimeSeries(data).to_arrow()
    assert table.to_pydict() == {"index": ["2024-01", "2024-02"], "sky_RAW#1": ["dry", "wet"]}
