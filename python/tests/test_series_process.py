"""The processing functions: what meteaudata gives on real data, and what pandas gives on any."""

import builtins
import datetime as dt
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siltstone import errors
from siltstone.series import _process as process

FREQUENCIES = [
    "h",
    "6h",
    "5h",
    "7min",
    "90s",
    "15min",
    "250ms",
    "D",
    "2D",
    "7D",
    "30D",
    "24h",
    "36h",
    "1.5h",
    "2h30min",
    "W",
    "W-MON",
    "W-SAT",
    "2W",
    "MS",
    "ME",
    "2MS",
    "3ME",
    "QS",
    "QE",
    "QS-FEB",
    "QE-JAN",
    "2QE",
    "YS",
    "YE",
    "YS-JUL",
    "YE-JUN",
    "2YS",
    "2YE",
]
ZONES = [None, "UTC", "America/Los_Angeles", "Europe/Paris", "Asia/Kolkata", "+05:30"]
HOWS = ["mean", "sum", "min", "max", "first", "last", "count", "median"]
same = pd.testing.assert_series_equal


def alike(got, expected):
    """Equal in all; many times faster than :func:`same`, which says what differs."""
    kept = got.equals(expected) and got.index.equals(expected.index) and got.name == expected.name
    if not kept or (got.index.dtype, got.index.freq) != (expected.index.dtype, expected.index.freq):
        same(got, expected, check_exact=True, check_freq=True)
        raise AssertionError(f"{got} is not {expected}")


@pytest.fixture(scope="module")
def facts(shared_series):
    return json.loads((shared_series / "expected.json").read_text())


@pytest.fixture(scope="module")
def shared_series(shared):
    return shared / "data" / "series"


# Real data


def source(folder, facts):
    frame = pd.read_csv(folder / facts["file"])
    index = frame.iloc[:, 0].to_numpy()
    if facts["index_type"] == "DatetimeIndex":
        index = pd.DatetimeIndex(index.view("M8[ns]"))
        index = index.tz_localize("UTC").tz_convert(facts["tz"]) if facts["tz"] else index
    elif facts["index_type"] == "TimedeltaIndex":
        index = pd.TimedeltaIndex(index.view("m8[ns]"))
    else:
        index = pd.Index(index)
    if facts["freq"]:
        index.freq = facts["freq"]
    return pd.Series(frame.iloc[:, 1].to_numpy(), index)


def call(series, fn, args, kwargs):
    if fn == "resample":
        return process.resample_series(series, *args)
    if fn == "linear_interpolation":
        return process.interpolate_series(series)
    if fn == "subset":
        return process.subset_series(series, *args)
    if fn == "replace_ranges":
        return process.replace_ranges_series(series, args[0], **kwargs)
    if fn == "normalize_index_to_numeric_delta":
        return process.normalize_index_series(series, **kwargs)
    assert fn == "predict_from_previous_point"
    return process.predict_series(series)


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def check(series, wanted):
    assert len(series) == wanted["n"]
    assert type(series.index).__name__ == wanted["index_type"]
    assert str(series.index.dtype) == wanted["index_dtype"]
    assert getattr(series.index, "freqstr", None) == wanted["freq"]
    index = series.index.asi8 if wanted["index_kind"] == "ns" else series.index.to_numpy()
    assert digest(index) == wanted["sha256_index_le8"]
    values = series.to_numpy().copy()
    values[np.isnan(values)] = np.nan
    assert digest(values) == wanted["sha256_values_le8"]


def test_operations_on_real_data_give_what_is_expected(shared_series, facts):
    """All 46, equal by bits."""
    for wanted in facts["ops"]:
        if wanted["op"] == "average_signals":
            inputs = [source(shared_series, facts["series"][name]) for name in wanted["inputs"]]
            for i, (fn, args) in wanted["pre"].items():
                inputs[int(i)] = call(inputs[int(i)], fn, args, {})
            result = process.average_series(inputs)
        else:
            result = source(shared_series, facts["series"][wanted["input"]])
            for step in wanted["chain"]:
                before = result.copy()
                result = call(before, step["fn"], step["args"], step["kwargs"])
        check(result, wanted)
    assert len(facts["ops"]) == 46


def test_errors_are_those_that_are_expected(shared_series, facts):
    """With the built-in class that is documented, and ours."""
    for case in facts["errors"]:
        if case["fn"] == "average_signals":
            continue  # units belong to signals
        series = source(shared_series, facts["series"][case["input"]])
        with pytest.raises(errors.SiltstoneError) as raised:
            call(series, case["fn"], case["args"], case["kwargs"])
        assert isinstance(raised.value, getattr(builtins, case["raises"]))


# Against pandas


def random_series(rng, zone, unit="us", days=900, points=300):
    start = pd.Timestamp("2009-06-05", tz=zone).as_unit(unit)
    seconds = np.sort(rng.integers(0, int(days * 86_400), points))
    index = start + pd.to_timedelta(seconds, unit="s").as_unit(unit)
    values = np.where(rng.random(points) < 0.2, np.nan, rng.normal(10, 1e3, points))
    return pd.Series(values, index, name="x")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_resample_is_that_of_pandas(frequency, zone):
    """Each frequency in each zone, whatever the phase; means by bits."""
    rng = np.random.default_rng(len(frequency))
    narrow = frequency.endswith(("s", "min")) and not frequency.endswith("YS")
    for days, points in [(0.1, 40), (1, 1)] if narrow else [(900, 300), (20, 10), (1, 1)]:
        series = random_series(rng, zone, days=days, points=points)
        expected = series.resample(frequency).mean()
        same(process.resample_series(series, frequency), expected, check_exact=True, check_freq=True)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_aggregations_are_those_of_pandas(how, unit):
    series = random_series(np.random.default_rng(1), "Europe/Paris", unit)
    shuffled = series.sample(frac=1, random_state=1)
    for frequency in ["3D", "W-TUE", "ME", "11h"]:
        expected = getattr(series.resample(frequency), how)()
        same(process.resample_series(series, frequency, how), expected, check_exact=True)
        if how not in ("mean", "sum"):  # of which the last bits depend on the order
            same(process.resample_series(shuffled, frequency, how), expected, check_exact=True)
    index = pd.TimedeltaIndex(series.index - series.index[0])
    spans = pd.Series(series.to_numpy(), index, name="x")
    for frequency in ["D", "5h"]:
        expected = getattr(spans.resample(frequency), how)()
        same(process.resample_series(spans, frequency, how), expected, check_exact=True)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool", "float32", "Int64", "Float64", "boolean"])
def test_values_of_any_number_type_have_a_mean(dtype):
    rng = np.random.default_rng(2)
    index = pd.date_range("2020-01-01", periods=200, freq="7h").delete(slice(50, 80))
    series = pd.Series(rng.integers(0, 2, len(index)), index).astype(dtype)
    expected = series.resample("2D").mean()
    same(process.resample_series(series, "2D"), expected)
    if dtype in ("Int64", "Float64"):
        series.iloc[[3, 4, 90]] = pd.NA
        same(process.resample_series(series, "2D"), series.resample("2D").mean())
        same(process.interpolate_series(series), series.interpolate())
    if dtype == "float32":
        for how in HOWS:
            same(process.resample_series(series, "2D", how), getattr(series.resample("2D"), how)())
        same(process.interpolate_series(series), series.interpolate())


def test_offsets_and_spans_of_pandas_are_frequencies():
    series = random_series(np.random.default_rng(3), None)
    for frequency in [pd.offsets.MonthEnd(2), pd.Timedelta("6h"), dt.timedelta(days=2)]:
        same(process.resample_series(series, frequency), series.resample(frequency).mean())
    # Names that pandas 3 refuses, with the meaning that they had.
    for old, new in [("6H", "6h"), ("M", "ME"), ("A", "YE"), ("Q-JAN", "QE-JAN"), ("T", "min"), ("AS", "YS")]:
        same(process.resample_series(series[:9], old), series[:9].resample(new).mean())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.floats(-1e9, 1e9)), min_size=1, max_size=40),
    st.sampled_from([f for f in FREQUENCIES if not f.endswith(("s", "min"))]),
    st.sampled_from(ZONES),
)
def test_resample_of_any_points_is_that_of_pandas(points, frequency, zone):
    """Unsorted, repeated and missing ones; around a change of the clocks."""
    start = pd.Timestamp("2010-03-12 21:00", tz=zone).as_unit("ns")
    index = pd.DatetimeIndex([start + pd.Timedelta(seconds=at) for at, _ in points])
    series = pd.Series([np.nan if x is None else x for _, x in points], index, dtype=float)
    expected = series.resample(frequency).mean()
    same(process.resample_series(series, frequency), expected, rtol=1e-12, check_freq=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=30), st.data())
def test_interpolation_is_that_of_pandas(values, data):
    gaps = data.draw(st.lists(st.integers(1, 10**6), min_size=len(values), max_size=len(values)))
    index = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(gaps), unit="s").as_unit("us")
    series = pd.Series(values, pd.DatetimeIndex(index), dtype=float)
    same(process.interpolate_series(series), series.interpolate(), check_exact=True)
    same(process.interpolate_series(series, by="time"), series.interpolate("time"), rtol=1e-9, atol=1e-3)


def test_interpolation_by_time_weighs_the_time():
    index = pd.to_datetime(["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 10:00"])
    series = pd.Series([0.0, np.nan, 10.0], index)
    assert process.interpolate_series(series).tolist() == [0, 5, 10]
    assert process.interpolate_series(series, by="time").tolist() == [0, 1, 10]


LABELS = [
    ("2010", "2010"), ("2010-03", "2010-03"), ("2010-03-14", "2010-03-14"), ("2010-3-14", "2010-04"),
    ("2010-03-14 05", "2010-03-15 07"), ("2010-03-14 05:30", "2010-03-14T17:59"), ("20100314", None),
    (None, "2010-03-14 05:30:01"), ("2011-11", "2010-01"), ("1900", "2100"), (None, None),
    (pd.Timestamp("2010-03-14 05:30"), pd.Timestamp("2010-05-01")), (dt.datetime(2010, 3, 14), None),
]  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_labels_are_those_of_pandas(zone, unit):
    index = pd.date_range("2009-12-20", "2010-12-31", freq="37min", tz=zone, unit=unit)
    series = pd.Series(np.arange(len(index)), index, name="x")
    for start, end in LABELS:
        if zone:
            start, end = (pd.Timestamp(x).tz_localize(zone) if isinstance(x, dt.datetime) else x for x in (start, end))
        expected = series.loc[start:end]
        alike(process.subset_series(series, start, end), expected)
        replaced = series.astype(float)
        replaced.loc[start:end] = np.nan
        alike(process.replace_ranges_series(series.astype(float), [(start, end)]), replaced)
    if zone:
        text = "2010-03-14T05:30:00+09:00"
        alike(process.subset_series(series, text, None), series.loc[text:])
    for start, end in [(3, 9), (-5, None), (None, -5), (9, 3), (-(10**9), 10**9), (10**9, None)]:
        alike(process.subset_series(series, start, end, rank_based=True), series.iloc[start:end])


def test_labels_of_spans_are_those_of_pandas():
    index = pd.timedelta_range("-3 days", "5 days", freq="17min")
    series = pd.Series(np.arange(len(index)), index)
    for start, end in [
        ("1 days", "2 days"), ("1 days 05:00:00", "1 days 05:30:00"), ("36h", None), (None, "-1 days +02:00:00"),
        (pd.Timedelta("1h"), dt.timedelta(days=1)), ("2 days", "1 days"),
        (None, "-22h"), (None, "1 days 05:14:00"), ("-90min", "90 min"), ("1 days", "26.5h"),
    ]:  # fmt: skip
        alike(process.subset_series(series, start, end), series.loc[start:end])


def test_ranges_of_any_index_are_replaced():
    years = pd.Series(np.arange(5.0), pd.RangeIndex(2000, 2005))
    replaced = process.replace_ranges_series(years, [(2001, 2002), (2004, None)], -1)
    assert replaced.tolist() == [0, -1, -1, 3, -1]
    assert isinstance(replaced.index, pd.RangeIndex)
    assert years.tolist() == [0, 1, 2, 3, 4]
    integers = pd.Series([1, 2, 2**53 + 1], pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]))
    assert process.replace_ranges_series(integers, [("2020-01-01", "2020-01-01")], 7).tolist() == [7, 2, 2**53 + 1]
    missing = process.replace_ranges_series(integers, [("2020-01-01", "2020-01-01")], None)
    assert missing.dtype == "Int64" and missing.isna().tolist() == [True, False, False]
    as_nan = process.replace_ranges_series(integers, [("2020-01-01", "2020-01-01")])
    assert as_nan.dtype == "float64" and np.isnan(as_nan.iloc[0])
    texts = pd.Series(["a", "b"], ["x", "y"])
    assert process.replace_ranges_series(texts, [("y", "y")], "c").tolist() == ["a", "c"]
    assert process.replace_ranges_series(texts, [("y", "y")]).isna().tolist() == [False, True]
    assert process.replace_ranges_series(years, [(2000, 2000)], np.float32(0.5)).iloc[0] == 0.5
    for pairs, with_, error in [
        ([("2020",)], 0, ValueError), (["ab"], 0, ValueError), ([("a", "b")], 0, ValueError),
        ([(2000, 2001)], "text", TypeError), ([(2000, 2001)], object(), TypeError), ([(2000, b"x")], 0, TypeError),
    ]:  # fmt: skip
        with pytest.raises(error) as raised:
            process.replace_ranges_series(years, pairs, with_)
        assert isinstance(raised.value, errors.SiltstoneError)


def test_averages_are_those_of_pandas():
    rng = np.random.default_rng(4)
    for zone in ZONES:
        series = [random_series(rng, zone, days=1, points=n) for n in (200, 300, 40, 1)]
        series = [one[~one.index.duplicated()] for one in series]
        expected = pd.concat(series, axis=1, sort=True).mean(axis=1)
        same(process.average_series(series), expected, rtol=1e-12, check_freq=True)
    hourly = [
        pd.Series(rng.normal(size=n), pd.date_range(start, periods=n, freq="h"))
        for start, n in [("2020-01-01", 30), ("2020-01-01 12:00", 50), ("2020-01-02", 3)]
    ]
    for some in (hourly, hourly[:2], hourly[::-1], [hourly[0]] * 3):
        expected = pd.concat(some, axis=1, sort=True).mean(axis=1)
        average = process.average_series(some)
        same(average, expected, rtol=1e-12, check_freq=False)
        assert average.index.freqstr == "h"
    apart = process.average_series([hourly[0], hourly[0].shift(100, freq="h")])
    assert apart.index.freq is None
    twice = pd.Series([1.0, 2.0], pd.to_datetime(["2020-01-01", "2020-01-01"]), name="flow")
    with pytest.raises(ValueError, match="flow.*2020-01-01T00:00:00 twice"):
        process.average_series([hourly[0], twice])


def test_a_normal_index_is_time_since_a_reference():
    for zone in ZONES:
        series = random_series(np.random.default_rng(5), zone, "ns")
        for unit, name in [("s", "s"), ("h", "hours"), ("D", "days"), ("ms", "milliseconds")]:
            for reference in [None, "2009-01-01", pd.Timestamp("2009-01-01 05:00", tz=zone)]:
                since = series.index[0] if reference is None else pd.Timestamp(reference)
                since = since.tz_localize(zone) if zone and since.tz is None else since
                wanted = (series.index - since) / pd.Timedelta(1, unit)
                for given_unit in (unit, name):
                    result = process.normalize_index_series(series, given_unit, reference)
                    np.testing.assert_array_equal(result.index.to_numpy(), wanted.to_numpy())
                    assert result.index.dtype == "float64" and result.name == "x"
    naive = random_series(np.random.default_rng(5), None)
    for reference in [pd.Timestamp("2009", tz="UTC"), "2009-01-01T00:00Z", "soon", pd.NaT, 1j]:
        with pytest.raises(errors.InvalidError):
            process.normalize_index_series(naive, "s", reference)


def test_what_is_refused_is_of_the_documented_kinds():
    numbers = pd.Series([1.0, 2.0], [1, 2])
    texts = pd.Series(["a"], pd.to_datetime(["2020-01-01"]))
    for work, error in [
        (lambda: process.resample_series(numbers, "D"), IndexError),
        (lambda: process.resample_series(texts, "D"), TypeError),
        (lambda: process.resample_series(texts, "fortnight", "last"), ValueError),
        (lambda: process.resample_series(texts, "D", "mode"), ValueError),
        (lambda: process.interpolate_series(numbers), IndexError),
        (lambda: process.interpolate_series(texts), TypeError),
        (lambda: process.subset_series(numbers, "a", 2), IndexError),
        (lambda: process.subset_series(numbers, 0, 1, rank_based=True), IndexError),
        (lambda: process.subset_series(texts, 0.5, 1, rank_based=True), TypeError),
        (lambda: process.subset_series(texts, "not a time", None), ValueError),
        (lambda: process.predict_series(numbers), IndexError),
        (lambda: process.average_series([numbers]), IndexError),
        (lambda: process.average_series([]), ValueError),
        (lambda: process.predict_series([1, 2]), TypeError),
    ]:
        with pytest.raises(error) as raised:
            work()
        assert isinstance(raised.value, errors.SiltstoneError)


def test_nothing_is_changed_and_everything_known_is_kept():
    index = pd.date_range("2020-01-01", periods=6, freq="h", tz="Europe/Paris", name="time")
    series = pd.Series([1.0, np.nan, 3.0, 4.0, 5.0, 6.0], index, name="flow")
    before = series.copy()
    for result in [
        process.resample_series(series, "2h"),
        process.interpolate_series(series),
        process.subset_series(series, "2020-01-01 02", None),
        process.replace_ranges_series(series, [(None, None)]),
        process.predict_series(series),
    ]:
        assert (result.name, result.index.name, result.index.tz) == ("flow", "time", index.tz)
        assert result.index.freq is not None
        same(series, before, check_freq=True)
    same(process.predict_series(series), series, check_freq=True)
