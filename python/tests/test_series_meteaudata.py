"""What meteaudata's users find here under the names that they know, and what meteaudata itself reads of it."""

from __future__ import annotations

import warnings
import zipfile

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from siltstone import series
from siltstone.errors import ExistsError, InvalidError, InvalidTypeError
from siltstone.series import Dataset, ProcessingStep, Signal, TimeSeries, resample

TIMES = pd.date_range("2026-03-28 12:00", periods=40, freq="h", tz="Europe/Paris")
HOURS = pd.date_range("2026-03-28", periods=4, freq="h")


@pytest.fixture
def flow():
    """A signal of two series."""
    signal = Signal(pd.Series(np.arange(40.0), TIMES), name="flow", units="m3/h")
    return signal.process(["RAW"], resample, "D")


@pytest.fixture
def plant(flow):
    """A dataset of one signal."""
    return Dataset("plant", owner="the works", signals=[flow])


def test_a_series_is_written_into_a_backend_of_its_own():
    """Goal: `TimeSeries(backend=...)` keeps the backend, and the series comes back from it without being loaded."""
    backend = series.open("memory:")
    made = TimeSeries(pd.Series([1.0, 2.0], name="RAW"), backend=backend)
    assert backend.list_keys() == [] and made.save_to_backend("a/b") == "a/b"
    made.unload()
    assert made.series.tolist() == [1.0, 2.0]
    again = TimeSeries.load_from_backend(backend, "a/b")
    assert not again.is_loaded and again.series.tolist() == [1.0, 2.0]
    with pytest.raises(InvalidError, match="no storage backend"):
        TimeSeries(pd.Series([1.0])).save_to_backend("a")


def test_the_keys_of_time_series_are_kept():
    """Goal: a key is the name of its series, with its number, and finds it."""
    one = TimeSeries(pd.Series([1.0], name="x"))
    signal = Signal(time_series={"raw": one}, name="flow")
    assert signal.all_time_series == ["flow#1_raw#1"]
    assert signal["raw"] is signal.time_series["raw"] is signal["flow#1_raw#1"]
    assert "raw" in signal and "RAW" not in signal and signal.time_series.get("RAW") is None
    assert Signal(time_series={"flow#1_RAW#2": one}, name="flow").all_time_series == ["flow#1_RAW#2"]
    with pytest.raises(ExistsError, match="twice"):
        Signal(time_series={"flow#1_RAW#2": one, "RAW#2": one}, name="flow")
    signal.add(TimeSeries(pd.Series([1.0], name="raw")))
    with pytest.raises(InvalidError, match="flow#1_raw#1, flow#1_raw#2"):
        signal["raw"]


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_signal_is_saved_alone_and_loaded(tmp_path, flow, as_zip):
    """Goal: `Signal.save` writes what `load_from_directory` reads, and no existing file is replaced by default."""
    flow.save(tmp_path / "out", zip=as_zip)
    names = {"flow#1.zip"} if as_zip else {"flow#1_metadata.yaml", "flow#1_data"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    path = tmp_path / "out" / "flow#1.zip" if as_zip else tmp_path / "out"
    assert Signal.load_from_directory(path, "flow") == flow
    with pytest.raises(ExistsError):
        flow.save(tmp_path / "out", zip=as_zip)


def test_a_dataset_is_saved_with_another_separator_and_other_heads(tmp_path, plant):
    """Goal: what the options say stands in the files, and `Dataset.load` reads them."""
    plant.save(tmp_path, separator=";", output_index_name="when", output_value_names={"flow#1_RAW#1": "m3/h"})
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        head = archive.read("plant_data/flow#1_data/flow#1_RAW#1.csv").splitlines()[:2]
    assert head == [b"when;m3/h", b"2026-03-28 11:00:00+00:00;0.0"]
    assert Dataset.load(tmp_path / "plant.zip") == plant
    for wrong in ("x", "", ",;", True):
        with pytest.raises(InvalidError, match="separator"):
            plant.save(tmp_path / "other", wrong)


def test_json_gives_a_dataset_and_a_signal_back_equal(plant, flow):
    """Goal: `model_dump_json` and `model_validate_json` are there on all three classes."""
    raw = flow["RAW"]
    assert TimeSeries.model_validate_json(raw.model_dump_json()) == raw
    assert Signal.model_validate_json(flow.model_dump_json()) == flow
    back = Dataset.model_validate_json(plant.model_dump_json())
    assert back == plant and back.all_signals == plant.all_signals
    for kind in (TimeSeries, Signal, Dataset):
        for text in ("", "{", "[]", "{}", '{"name": 1, "signals": 2, "time_series": 3, "series": 4}', None):
            with pytest.raises(InvalidError, match="the JSON of a"):
                kind.model_validate_json(text)


def test_plots_are_plotly_figures(plant, flow):
    """Goal: a figure has a line for each series, in the range that was asked for."""
    pytest.importorskip("plotly")
    assert len(plant.plot().data) == len(flow.plot().data) == 2
    (line,) = plant.plot(ts_names=["flow#1_RAW#1"], title="Inflow").data
    assert len(line.x) == 40 and line.name == "flow#1_RAW#1"
    assert plant.plot(title="Inflow").layout.title.text == "Inflow"
    (line,) = flow["RAW"].plot(start="2026-03-28 13:00", end="2026-03-28 14:00", legend_name="in").data
    assert (list(line.y), line.name) == ([1.0, 2.0], "in")


def test_a_prediction_is_drawn_where_its_points_will_be():
    """Goal: the times of a prediction are ahead by its distance, at any frequency."""
    pytest.importorskip("plotly")
    signal = Signal(pd.Series([1.0, 2.0, 3.0], pd.date_range("2026-01-01", periods=3, freq="MS")), name="q")
    signal.process(["RAW"], series.predict_from_previous_point)
    (line,) = signal["PREV-PRED"].plot().data
    assert [str(time)[:10] for time in pd.DatetimeIndex(line.x)] == ["2026-02-01", "2026-03-01", "2026-03-29"]


def test_display_shows_text_where_there_is_no_notebook(plant, flow, capsys):
    """Goal: `display()` says what the thing is; another format is refused by name."""
    for one in (plant, flow, flow["RAW"]):
        one.display()
        one.display("text")
        assert capsys.readouterr().out == f"{one!r}\n" * 2
        with pytest.raises(InvalidError, match="'html', 'text' or 'plot'"):
            one.display("graph")


def test_a_plot_without_plotly_says_what_to_install(monkeypatch, flow):
    """Goal: a missing library is a sentence of ours."""
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    monkeypatch.setitem(__import__("sys").modules, "plotly.subplots", None)
    with pytest.raises(InvalidError, match="pip install plotly"):
        flow.plot()


def test_unknown_keywords_and_wrong_places_are_refused():
    """Goal: a mistyped keyword is an error and no metadata; a backend and a name do not change places."""
    backend = series.open("memory:")
    for kind, wrong in ((Signal, "unit"), (Dataset, "backnd"), (TimeSeries, "units")):
        with pytest.raises(TypeError, match=f"'{wrong}'"):
            kind(**({"name": "a"} if kind is Dataset else {}), **{wrong: "m"})
    with pytest.raises(InvalidTypeError, match="the backend, then the name"):
        Dataset.open("plant", backend)
    for make in (lambda b: Dataset("a", backend=b), lambda b: Signal(backend=b), lambda b: TimeSeries(backend=b)):
        with pytest.raises(InvalidTypeError, match="series.open"):
            make("memory:")
    with pytest.raises(InvalidTypeError, match="units"):
        Signal(units=3)


def test_steps_with_nan_parameters_are_equal():
    """Goal: NaN in parameters or in what a record has beside its fields is itself."""
    one = ProcessingStep(parameters={"x": float("nan"), "a": np.array([1.0, np.nan])}, more={"y": float("nan")})
    two = ProcessingStep.model_validate_json(one.model_dump_json())
    assert one == two and one != ProcessingStep(run_datetime=one.run_datetime)
    points = pd.Series([1.0])
    first = TimeSeries(points, [one])
    assert first == TimeSeries(points, [two], created_on=first.created_on)


@pytest.mark.parametrize(
    "made", [None, 1, pd.Series([1.0]), [pd.Series([1.0])], [(pd.Series([1.0]), "x")], [(1, [])], [(1, 2, 3)]]
)
def test_what_a_function_returns_is_checked(plant, flow, made):
    """Goal: a function that returns something else than its protocol says gets a sentence, and changes nothing."""

    def odd(*_):
        return made

    with pytest.raises(InvalidTypeError, match="what the function .*odd' returns: expected a list of"):
        flow.process(["RAW"], odd)
    with pytest.raises(InvalidTypeError, match="what the function .*odd' returns: expected a list of Signal"):
        plant.process(["flow#1_RAW#1"], odd)
    assert len(flow) == 2 and len(plant) == 1


def test_a_dataset_goes_on_to_netcdf_polars_and_arrow(tmp_path):
    """Goal: zoned times are UTC in the file, a slash in a name is escaped, and every dtype has a place."""
    xr = pytest.importorskip("xarray")
    plant = Dataset("plant")
    z = TIMES[:2]
    given = {
        "RAW": pd.Series([1.0, 2.0], z),
        "I": pd.Series([1, None], z, dtype="Int64"),
        "T": pd.Series(["a", None], z),
    }
    plant.add(Signal(given, name="NH4/N", units="mg/l"))
    made = plant.to_xarray()
    assert made["NH4%2FN#1_RAW#1"].attrs == {"long_name": "NH4/N#1_RAW#1", "units": "mg/l", "time_zone": "Europe/Paris"}
    assert made["index"].values[0] == np.datetime64("2026-03-28T11:00")
    try:
        made.to_netcdf(tmp_path / "plant.nc")
    except ValueError as error:
        if "no backend" not in str(error) and "cannot write NetCDF" not in str(error):
            raise
        pytest.skip(f"no library for NetCDF: {error}")
    with xr.open_dataset(tmp_path / "plant.nc") as read:
        assert read["NH4%2FN#1_RAW#1"].values.tolist() == [1.0, 2.0]
    assert list(plant.to_polars()) == list(plant.to_arrow()) == ["NH4/N#1_RAW#1", "NH4/N#1_I#1", "NH4/N#1_T#1"]
    plant.add(Signal(pd.Series([1.0], HOURS[:1]), name="q"))
    with pytest.raises(InvalidError, match="q#1_RAW#1"):
        plant.to_xarray()


CASES = {
    "zoned": pd.Series(np.arange(40.0), TIMES),
    "regular": pd.Series([1.0, 2.0, np.nan, 4.0], HOURS),
    "changed since": pd.Series([1.0, 2.0, 3.0], pd.DatetimeIndex(HOURS.delete(1), freq=None)),
    "parts of seconds": pd.Series([1.0, 2.0], pd.DatetimeIndex([HOURS[0], HOURS[0] + pd.Timedelta("500ms")])),
    "months": pd.Series([1.0, 2.0], pd.date_range("2026-01-01", periods=2, freq="MS")),
    "periods of months": pd.Series([1.0, 2.0], pd.period_range("2026-01", periods=2, freq="M")),
    "periods of quarters": pd.Series([1.0, 2.0], pd.period_range("2026Q1", periods=2, freq="Q")),
    "periods of weeks": pd.Series([1.0, 2.0], pd.period_range("2026-01-01", periods=2, freq="W")),
    "periods of hours": pd.Series(
        [1.0, 2.0], pd.period_range("2026-01-01", periods=2, freq="h" if pd.__version__ >= "2.2" else "H")
    ),
    "texts": pd.Series(["a", "b,c", None], HOURS[:3]),
    "categories": pd.Series(["a", "b"], HOURS[:2], dtype="category"),
    "integers": pd.Series([1, 2], HOURS[:2]),
    "nullable": pd.Series([1, None], HOURS[:2], dtype="Int64"),
    "booleans": pd.Series([True, False], HOURS[:2]),
    "row numbers": pd.Series([1.0, 2.0]),
    "numbers": pd.Series([1.0, 2.0], [0.5, 1.5]),
    "labels": pd.Series([1.0, 2.0], ["a", "b"]),
    "zoned values": pd.Series(TIMES, TIMES),
    "empty": pd.Series([], pd.DatetimeIndex([]), dtype="float64"),
}


@pytest.mark.parametrize("name", CASES)
def test_meteaudata_loads_what_is_saved_here(tmp_path, name):
    """Goal: a dataset that was made here is loaded by meteaudata itself, its points, times and steps as they were."""
    types = pytest.importorskip("meteaudata.types", reason="meteaudata is not installed")
    given = CASES[name].rename("A#1_RAW#1")
    facts = dict.fromkeys(
        ("source_repository", "project", "location", "equipment", "parameter", "purpose", "metadata_id"), "x"
    )
    plant = Dataset("plant", "d", "o", purpose="p", project="x")
    plant.add(Signal(given, name="A", units="mg/l", provenance=facts))
    parameters = {
        "pairs": [("a", 1)],
        "nan": float("nan"),
        "since": TIMES[0],
        "of": {1: b"x"},
        "array": np.array([1.5]),
    }
    step = ProcessingStep(type="filtering", suffix="X", parameters=parameters)
    plant["A#1"]["RAW"].processing_steps = [step]
    plant.save(tmp_path)
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        assert not any(b"$silt" in archive.read(name) for name in archive.namelist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = types.Dataset.load(str(tmp_path / "plant.zip"), "plant")
    signal = theirs.signals["A#1"]
    assert (theirs.owner, signal.units, signal.last_updated) == ("o", "mg/l", plant["A#1"].last_updated)
    read = signal.time_series["A#1_RAW#1"]
    # The unit of times may be another: it is that of pandas' reader.
    pd.testing.assert_series_equal(
        read.series, given, check_freq=False, check_index_type=False, check_categorical=False
    )
    known = read.processing_steps[0].parameters.as_dict()
    assert known["pairs"] == [["a", 1]] and known["of"] == {1: b"x"} and known["array"].tolist() == [1.5]
    assert known["since"] == "2026-03-28 12:00:00+01:00" and np.isnan(known["nan"])

    # And back: what meteaudata saves is read here.
    again = Dataset.load(tmp_path / "plant.zip")["A#1"]["RAW"].series
    pd.testing.assert_series_equal(again, given, check_categorical=False)
