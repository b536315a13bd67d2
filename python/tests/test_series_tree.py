"""Datasets of signals: names, histories, what a backend has of them, what a function may do."""

import dataclasses
import datetime as dt
import os
import signal as signals
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siltstone import errors, series
from siltstone.series import (
    DataProvenance,
    Dataset,
    FunctionInfo,
    Parameters,
    PolarsAdapter,
    ProcessingStep,
    ProcessingType,
    Signal,
    TimeSeries,
    average_signals,
    linear_interpolation,
    replace_ranges,
    resample,
    subset,
)

KINDS = ["memory", "disk", "polars", "sql"]


def make(kind, folder):
    """A backend of this kind; the same one each time for all but memory."""
    if kind == "memory":
        return series.PandasInMemoryAdapter()
    if kind == "disk":
        return series.PandasOnDiskAdapter(folder / "parquet")
    return PolarsAdapter(folder / "polars") if kind == "polars" else series.open(f"sqlite:{folder}/a.db")


@pytest.fixture(params=KINDS)
def backend(request, tmp_path):
    return make(request.param, tmp_path)


def points(n=48, name="RAW", value=None):
    times = pd.date_range("2026-03-28", periods=n, freq="h", tz="Europe/Paris")
    values = np.arange(n, dtype="f8") if value is None else np.full(n, float(value))
    return pd.Series(values, times, name=name)


def halve(inputs, note="n"):
    """One output for each input: its first half."""
    made = []
    for one in inputs:
        step = ProcessingStep(
            type=ProcessingType.FILTERING,
            suffix="HALF",
            parameters=Parameters(note=note, at=pd.Timestamp("2026-01-01"), pair=(1, np.float32(2.5))),
            input_series_names=[one.name],
        )
        made.append((one.iloc[: len(one) // 2], [step]))
    return made


def join(signals, names):
    """One signal of all."""
    step = ProcessingStep(type=ProcessingType.DIMENSIONALITY_REDUCTION, suffix="RAW")
    total = sum(signal[name].series.to_numpy()[0] for signal, name in zip(signals, names, strict=True))
    made = TimeSeries(pd.Series([total], signals[0][names[0]].series.index[:1], name="RAW"), [step])
    return [Signal(made, name="JOINED", units=signals[0].units)]


def plant(backend, name="plant"):
    dataset = Dataset(name=name, owner="the works", purpose="a test", backend=backend)
    dataset.add(Signal(points(), name="flow", units="m3/h", provenance=DataProvenance(location="line 1")))
    dataset.add(Signal(points(value=2.0), name="NH4/N", units="mg/l"))
    return dataset


def test_a_dataset_is_rebuilt_from_its_backend(backend):
    """Goal: units, provenance, steps with their typed parameters, source texts, points: all come back, lazily."""
    dataset = plant(backend)
    dataset["flow#1"].process(["flow#1_RAW#1"], resample, "D").process(["flow#1_RESAMPLED#1"], halve)
    dataset.process(["flow#1_RAW#1", "NH4/N#1_RAW#1"], join)
    again = Dataset.open(backend, "plant")
    assert not any(one.is_loaded for signal in again for one in signal)
    assert len(again["flow#1"]["RAW#1"]) == 48
    assert again["flow#1"]["RAW#1"].range[0] == points().index[0].tz_convert("UTC").tz_localize(None)
    assert not again["flow#1"]["RAW#1"].is_loaded, "length and range are known without the points"
    assert again == dataset
    assert again["flow#1"].all_time_series == ["flow#1_RAW#1", "flow#1_RESAMPLED#1", "flow#1_HALF#1"]
    half = again["flow#1"]["HALF#1"]
    assert [step.suffix for step in half.processing_steps] == ["RESAMPLED", "HALF"]
    assert half.processing_steps[1].input_series_names == ["flow#1_RESAMPLED#1"]
    given = half.processing_steps[1].parameters.as_dict()
    assert given["at"] == pd.Timestamp("2026-01-01") and given["pair"] == (1, np.float32(2.5))
    assert "def halve" in half.processing_steps[1].function_info.source_code
    assert again["NH4/N#1"].provenance == DataProvenance()
    assert again["flow#1"].provenance.location == "line 1"
    pd.testing.assert_series_equal(again["flow#1"]["RAW#1"].series, points(name="flow#1_RAW#1"))
    joined = again["JOINED#1"]["RAW#1"]
    assert joined.processing_steps[-1].input_series_names == ["flow#1_RAW#1", "NH4/N#1_RAW#1"]
    assert series.datasets(backend) == ["plant"]
    with pytest.raises(errors.ExistsError):
        Dataset(name="plant", backend=backend)
    with pytest.raises(KeyError):
        Dataset.open(backend, "another")


def test_result_and_step_are_written_at_once_and_nothing_else(tmp_path):
    """Goal: fifty calls write fifty series and not a thousand."""
    backend = series.open(f"sqlite:{tmp_path}/a.db")
    dataset, written = plant(backend), []
    inner = backend._inner

    class Spy:
        def __getattr__(self, name):
            return getattr(inner, name)

        def commit(self, changes, *rest):
            written.append([what for what, *_ in changes])
            inner.commit(changes, *rest)

    backend._inner = Spy()
    for _ in range(50):
        dataset["flow#1"].process(["flow#1_RAW#1"], halve)
    assert written == [["new", "record"]] * 50


def test_overwriting_replaces_the_latest(backend):
    """Goal: of a signal the latest series of that name, of a dataset the latest signal; nothing is left of it."""
    dataset = plant(backend)
    flow = dataset["flow#1"]
    flow.process(["flow#1_RAW#1"], halve).process(["flow#1_RAW#1"], halve)
    flow.process(["flow#1_HALF#1"], halve, overwrite=True)
    assert flow.all_time_series == ["flow#1_RAW#1", "flow#1_HALF#1", "flow#1_HALF#2"]
    assert [len(one) for one in Dataset.open(backend, "plant")["flow#1"]] == [48, 24, 12]
    dataset.process(["flow#1_RAW#1"], join).process(["flow#1_RAW#1"], join)
    dataset.process(["NH4/N#1_RAW#1"], join, overwrite=True)
    again = Dataset.open(backend, "plant")
    assert again.all_signals == ["flow#1", "NH4/N#1", "JOINED#1", "JOINED#2"]
    assert again["JOINED#2"]["RAW#1"].series.tolist() == [2.0]
    assert again == dataset


def test_names_are_numbered_and_given(backend):
    """Goal: each name gets its next number; names may be given, and hold underscores, slashes and signs."""
    dataset = plant(backend)
    assert dataset.add(Signal(points(), name="flow#9")) == "flow#2"
    flow = dataset["flow#1"]
    assert flow.add(points(name="RAW")) == "flow#1_RAW#2"
    assert flow.add(points(name="by_hand/1")) == "flow#1_by_hand/1#1"
    flow.process(["flow#1_by_hand/1#1"], halve, output_names=["SHORT"])
    assert flow.all_time_series[-1] == "flow#1_SHORT#1"
    for names in (["A_B"], ["A", "B"], [""]):
        with pytest.raises(ValueError, match="output_names"):
            flow.process(["flow#1_RAW#1"], halve, output_names=names)
    dataset.process(["flow#1_RAW#1"], join, output_signal_names=["SUM"], output_ts_names=["ALL"])
    assert dataset["SUM#1"].all_time_series == ["SUM#1_ALL#1"]
    assert Dataset.open(backend, "plant") == dataset


def test_names_change_everywhere(backend):
    """Goal: no key remains, and the histories follow."""
    dataset = plant(backend)
    dataset.process(["flow#1_RAW#1", "NH4/N#1_RAW#1"], join)
    dataset.rename("flow#1", "q")
    dataset.rename("NH4/N#1", "flow")
    with pytest.raises(errors.ExistsError):
        dataset.rename("flow#1", "q#1")
    assert Dataset.open(backend, "plant") == dataset
    assert dataset["JOINED#1"]["RAW#1"].processing_steps[0].input_series_names == ["q#1_RAW#1", "flow#1_RAW#1"]
    assert backend.list_keys() == ["plant/JOINED#1/RAW#1", "plant/flow#1/RAW#1", "plant/q#1/RAW#1"]
    dataset.remove("q#1")
    dataset["flow#1"].remove("RAW#1")
    assert backend.list_keys() == ["plant/JOINED#1/RAW#1"]
    assert Dataset.open(backend, "plant") == dataset


def test_the_history_is_exact():
    """Goal: each output has the history of its own input; a later series of the same name changes nothing."""
    signal = Signal([points(), points()], name="a_b")
    signal.process(["a_b#1_RAW#1", "a_b#1_RAW#2"], halve)
    signal.process(["a_b#1_HALF#1"], resample, "D")
    steps = signal["RESAMPLED#1"].processing_steps
    assert [step.input_series_names for step in steps] == [["a_b#1_RAW#1"], ["a_b#1_HALF#1"]]
    edges = signal.build_dependency_graph("a_b#1_RESAMPLED#1")
    assert [(e["origin"], e["destination"]) for e in edges] == [
        ("a_b#1_RAW#1", "a_b#1_HALF#1"),
        ("a_b#1_HALF#1", "a_b#1_RESAMPLED#1"),
    ]
    assert edges[1]["type"] == "resampling" and edges[1]["step"] == "resample"
    assert signal["HALF#2"].processing_steps[0].input_series_names == ["a_b#1_RAW#2"]


def test_a_function_that_fails_changes_nothing(backend):
    """Goal: dataset and backend are as they were."""
    dataset = plant(backend)
    before, keys = dataset.metadata_dict(), backend.list_keys()

    def refuse(*_):
        raise RuntimeError("no")

    for name in ("flow#1_RAW#1", "flow#1_SMOOTH#1"):
        with pytest.raises((RuntimeError, KeyError)):
            dataset["flow#1"].process([name], refuse)
        with pytest.raises((RuntimeError, KeyError)):
            dataset.process([name], refuse)
    bad = [(pd.Series([object()], name="x"), [ProcessingStep(suffix="X")])]
    with pytest.raises(errors.SiltstoneError):
        dataset["flow#1"].process(["flow#1_RAW#1"], lambda _: bad)
    assert dataset.metadata_dict() == before and backend.list_keys() == keys
    assert Dataset.open(backend, "plant") == dataset


def test_the_callers_data_are_not_changed():
    """Goal: no series is renamed, no step and no list of the caller's is changed."""
    mine = points(name="mine")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    signal = Signal(mine, name="s")
    signal.process(["s#1_mine#1"], lambda one: [(one[0].mul(0), [ProcessingStep(suffix="Z")])])
    assert mine.name == "mine" and signal["mine#1"].series.name == "s#1_mine#1"
    assert signal["mine#1"].series.tolist() == mine.tolist()
    two = Signal(frame, name="f")
    assert two.all_time_series == ["f#1_a#1", "f#1_b#1"] and list(frame.columns) == ["a", "b"]

    def spoil(inputs):
        inputs[0].iloc[0] = -1.0
        return [(inputs[0], [ProcessingStep(suffix="S")])]

    signal.process(["s#1_mine#1"], spoil)
    assert mine.iloc[0] == 0.0 and signal["mine#1"].series.iloc[0] == 0.0


def test_two_processes_keep_both_results(tmp_path):
    """Goal: two that process one signal at the same time never take each other's name."""
    plant(make("sql", tmp_path))
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
from test_series_tree import *
flow = Dataset.open(make("sql", Path({str(tmp_path)!r})), "plant")["flow#1"]
for _ in range(15):
    flow.process(["flow#1_RAW#1"], halve, note=sys.argv[1])
"""
    processes = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "ab"]
    assert [process.wait(120) for process in processes] == [0, 0]
    flow = Dataset.open(make("sql", tmp_path), "plant")["flow#1"]
    assert len(flow) == 31
    notes = [one.processing_steps[0].parameters.as_dict()["note"] for one in flow if one.processing_steps]
    assert sorted(notes) == ["a"] * 15 + ["b"] * 15


@pytest.mark.parametrize("kind", ["disk", "sql"])
def test_a_killed_process_leaves_result_and_step_together(kind, tmp_path):
    """Goal: kill -9 in a loop that processes: each series has its step, and the signal opens."""
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
from test_series_tree import *
dataset = plant(make({kind!r}, Path(sys.argv[1])))
print("ready", flush=True)
for n in range(10**9):
    dataset["flow#1"].process(["flow#1_RAW#1"], halve, note=n, overwrite=n % 3 == 0)
"""
    for i in range(5):
        folder = tmp_path / str(i)
        folder.mkdir()
        process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        signals.sigtimedwait([], 0.08 + 0.031 * i)
        process.kill()
        process.communicate()
        flow = Dataset.open(make(kind, folder), "plant")["flow#1"]
        for one in flow:
            assert len(one) == (48 if "RAW" in one.name else 24)
            assert len(one.processing_steps) == (0 if "RAW" in one.name else 1)
            assert len(one.series) == len(one)


def test_a_backend_of_ones_own_keeps_a_dataset():
    """Goal: a class with the documented calls and no more serves a dataset."""

    class Mine:
        def __init__(self):
            self.kept = {}

        def save(self, data, key, metadata):
            self.kept[key] = (data.copy(), metadata)

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

        def from_pandas(self, series):
            return series

    backend = Mine()
    dataset = plant(backend)
    dataset["flow#1"].process(["flow#1_RAW#1"], halve)
    dataset.rename("flow#1", "q")
    assert sorted(backend.kept) == ["plant/NH4%2FN#1/RAW#1", "plant/q#1/HALF#1", "plant/q#1/RAW#1"]
    again = Dataset.open(backend, "plant")
    assert again["q#1"]["HALF#1"] == dataset["q#1"]["HALF#1"]


def test_what_was_not_saved_is_not_forgotten():
    """Goal: unload refuses what no backend has; setting points marks them."""
    dataset = plant(series.open("memory:"))
    raw = dataset["flow#1"]["RAW#1"]
    raw.unload()
    assert not raw.is_loaded and len(raw) == 48
    raw.series = points(5)
    with pytest.raises(ValueError, match="unsaved"):
        raw.unload()
    dataset.save_all()
    raw.unload()
    assert len(raw.series) == 5
    assert raw.load_range("2026-03-28 01:00", "2026-03-28 02:00").tolist() == [1.0, 2.0]


def test_json_there_and_back():
    """Goal: infinite and missing values, repeated and falling times, other indexes: nothing changes."""
    for data in (
        points(),
        pd.Series([1.0, np.inf, np.nan], [3, 1, 1], name="x"),
        pd.Series(["", "NA", None], pd.timedelta_range(0, periods=3, freq="h"), dtype=object),
        pd.Series([2**53 + 1], pd.RangeIndex(1)),
    ):
        one = TimeSeries(data, [ProcessingStep(suffix="S", parameters=Parameters(x=(1, 2)))])
        again = TimeSeries.model_validate_json(one.model_dump_json())
        assert again == one
        pd.testing.assert_series_equal(again.series, one.series, check_freq=True)
    assert TimeSeries(points()) != TimeSeries(points(value=1.0))
    later = points()
    later.index = later.index.shift(1)
    first = TimeSeries(points(), created_on=dt.datetime(2026, 1, 1))
    assert first != TimeSeries(later, created_on=dt.datetime(2026, 1, 1)), "other times are another series"
    step = ProcessingStep(type="smoothing", function_info=FunctionInfo("f", "1"), more={"confidence": 0.5})
    assert ProcessingStep.model_validate_json(step.model_dump_json()) == step
    with pytest.raises(ValueError, match="the type of a processing step"):
        ProcessingStep(type="guessing")


def test_meteaudata_functions_say_what_they_did():
    """Goal: suffix, kind and parameters of each step are as in meteaudata."""
    signal = Signal(points(), name="A")
    pairs = [("2026-03-28 01:00", "2026-03-28 03:00")]
    signal.process(["A#1_RAW#1"], replace_ranges, pairs, "a fault")
    signal.process(["A#1_REPLACED-RANGES#1"], linear_interpolation)
    signal.process(["A#1_RAW#1"], subset, pd.Timestamp("2026-03-29", tz="Europe/Paris"), "2026-03-29")
    assert signal["REPLACED-RANGES#1"].series.isna().sum() == 3
    assert signal["LIN-INT#1"].series.tolist() == points().tolist()
    assert len(signal["SLICE#1"]) == 23, "the day on which the clocks change"
    steps = [one.processing_steps[-1] for one in signal if one.processing_steps]
    assert [(step.type.value, step.suffix) for step in steps] == [
        ("filtering", "REPLACED-RANGES"),
        ("gap_filling", "LIN-INT"),
        ("resampling", "SLICE"),
    ]
    assert steps[0].parameters.as_dict()["index_pairs"] == pairs
    assert steps[2].parameters.as_dict()["start_position"] == pd.Timestamp("2026-03-29", tz="Europe/Paris")


def test_an_average_is_of_one_unit_and_names_its_sources():
    """Goal: signals of several units are refused; the new signal is of all, and has no number of one of them."""
    dataset = plant(series.open("memory:"))
    names = ["flow#1_RAW#1", "NH4/N#1_RAW#1"]
    with pytest.raises(ValueError, match="m3/h, mg/l"):
        dataset.process(names, average_signals)
    dataset["flow#1"].provenance.metadata_id = "42"
    dataset.process(names, average_signals, check_units=False)
    made = dataset["AVERAGE#1"]
    assert made.units == "m3/h" and made.provenance.location == "line 1"
    assert made.provenance.metadata_id is None
    assert made["RAW#1"].series.tolist() == [(i + 2.0) / 2 for i in range(48)]
    assert made["RAW#1"].processing_steps[0].input_series_names == names
    assert dataset.build_full_dependency_graph() == [
        {
            "step": "average signals",
            "type": "dimensionality_reduction",
            "origin": name,
            "destination": "AVERAGE#1_RAW#1",
        }
        for name in names
    ]


def test_pages_and_tables_are_safe():
    """Goal: a name is never markup; every form of a dataset has its points."""
    dataset = Dataset(name="<script>alert(1)</script>")
    dataset.add(Signal(points(name="<b>"), name="<i>x</i>", units="<u>"))
    one = dataset.signals["<i>x</i>#1"]
    for page in (dataset._repr_html_(), one._repr_html_(), one["<b>#1"]._repr_html_()):
        assert not any(tag in page for tag in ("<script>", "<i>", "<b>", "<u>")), page
    assert "<svg" in one._repr_html_() and "polyline" in one["<b>#1"]._repr_html_()
    assert dataset.to_pandas().shape == (48, 1)
    assert one["<b>#1"].to_arrow().num_rows == 48 and one["<b>#1"].to_polars().height == 48
    array = one["<b>#1"].to_xarray()
    assert array.shape == (48,)
    # NetCDF takes a slash for a path.
    known = dataset.to_xarray()["<i>x<%2Fi>#1_<b>#1"].attrs
    assert (known["long_name"], known["units"]) == ("<i>x</i>#1_<b>#1", "<u>")


def test_what_was_replaced_was_made_last(backend):
    """Goal: series stand in the order in which they were made, opened anew or not."""
    dataset = Dataset(name="d", backend=backend)
    signal = dataset.signals[dataset.add(Signal(points(), name="A", units="m"))]
    signal.process(["RAW#1"], halve)
    signal.add(points(3))
    made = signal.process(["RAW#1"], halve, overwrite=True).all_time_series
    assert made == Dataset.open(backend, "d").signals["A#1"].all_time_series
    assert made[1] == "A#1_RAW#2"


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "series", "process", "join", "rename", "remove", "drop", "open"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_a_dataset_of_a_file_is_one_of_memory(acts, tmp_path_factory):
    """Goal: the same acts make the same dataset in memory and in a file, which opens as what it is."""
    backend = make("sql", tmp_path_factory.mktemp("a"))
    both = [Dataset(name="d"), Dataset(name="d", backend=backend)]
    names = ["A", "B/C", "D#2", "x_y"]

    def act(dataset, what, a, b):
        found = dataset.all_signals
        if what == "add":
            return dataset.add(Signal(name=names[a]))
        if what == "open" or not found:
            return None
        signal = dataset[found[a % len(found)]]
        if what == "series":
            return signal.add(points(b + 2, names[b]))
        if what == "rename":
            return dataset.rename(signal.name, names[b])
        if what == "drop":
            return dataset.remove(signal.name)
        if not len(signal):
            return None
        name = signal.all_time_series[b % len(signal)]
        if what == "remove":
            return signal.remove(name)
        if what == "join":
            return dataset.process([name], join).all_signals
        return signal.process([name], halve, overwrite=b == 0).all_time_series

    def shape(dataset):
        return [(s.name, [(one.name, len(one), len(one.processing_steps)) for one in s]) for s in dataset]

    for what, a, b in acts:
        if what == "open":
            both[1] = Dataset.open(backend, "d")
        results = []
        for dataset in both:
            try:
                results.append(act(dataset, what, a, b))
            except (errors.ExistsError, ValueError) as error:
                results.append(type(error))
        assert results[0] == results[1]
        assert shape(both[0]) == shape(both[1])
    again = Dataset.open(backend, "d")
    assert again == both[1]
    assert len(backend.list_keys()) == sum(len(signal) for signal in again)


# Real data


def real(shared):
    """The source series of the shared data, by name."""
    import json

    from test_series_process import source

    facts = json.loads((shared / "data/series/expected.json").read_text())
    return facts, {name: source(shared / "data/series", fact) for name, fact in facts["series"].items()}


def check(series, fact):
    import hashlib

    index = series.index
    numbers = index.as_unit("ns").asi8 if fact["index_kind"] == "ns" else index.to_numpy()
    kind = "<i8" if numbers.dtype.kind == "i" else "<f8"
    assert hashlib.sha256(numbers.astype(kind).tobytes()).hexdigest() == fact["sha256_index_le8"]
    assert len(series) == fact["n"] and series.isna().sum() == fact["nan"]
    if fact["n"] > fact["nan"]:
        assert series.mean() == pytest.approx(fact["mean"], rel=1e-12)
        assert series.sum() == pytest.approx(fact["sum"], rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_operations_on_real_data_have_the_meteaudata_names_and_results(kind, shared, tmp_path):
    """Goal: each operation of the shared data, through signals and datasets of each backend."""
    run_operations(make(kind, tmp_path), shared)


def run_operations(backend, shared):
    """The operations of the shared data, compared with what meteaudata gives."""
    facts, sources = real(shared)
    count = 0
    for name, series_ in sources.items():
        backend.save(series_, f"source/{name}", {})
        check(getattr(backend, "load_pandas", backend.load)(f"source/{name}")[0], facts["series"][name])
    for i, op in enumerate(facts["ops"]):
        dataset = Dataset(name=f"d{i}", backend=backend)
        if op["op"] == "average_signals":
            names = []
            for j, name in enumerate(op["inputs"]):
                called = op["input_names"][j].partition("#")[0]
                signal = dataset[dataset.add(Signal(sources[name], name=called, units=op["units"]))]
                if str(j) in op["pre"]:
                    function, args = op["pre"][str(j)]
                    signal.process(signal.all_time_series, getattr(series, function), *args)
                names.append(signal.all_time_series[-1])
            assert names == op["input_names"]
            dataset.process(names, average_signals)
            made = dataset["AVERAGE#1"]["RAW#1"]
        else:
            called = op["input_name"].partition("#")[0]
            signal = dataset[dataset.add(Signal(sources[op["input"]], name=called))]
            for call in op["chain"]:
                function = getattr(series, call["fn"])
                signal.process([signal.all_time_series[-1]], function, *call["args"], **call["kwargs"])
            made = signal[signal.all_time_series[-1]]
            assert [step.type.value for step in made.processing_steps] == op["step_types"]
            assert [step.suffix for step in made.processing_steps] == op["suffixes"]
        assert made.name == op["output_name"]
        check(Dataset.open(backend, f"d{i}")._series(made.name)[1].series, op)
        count += 1
    assert count == 46


def test_a_record_keeps_every_field():
    """Goal: a field that is added is not forgotten by a record's JSON."""
    for kind in (DataProvenance, FunctionInfo, ProcessingStep):
        names = {field.name for field in dataclasses.fields(kind)} - {"more", "output_series_name", "source_code"}
        assert names <= set(kind().model_dump())


def test_a_dataset_is_saved_and_loaded_in_the_meteaudata_layout(shared, tmp_path):
    """Goal: in memory or in a backend, there and back; what meteaudata wrote; nothing else is touched."""
    acc = Dataset.load(shared / "data/series/described_store/acc.zip")
    assert acc.name == "acc" and acc.owner == "o" and len(acc["co2#1"]["LIN-INT#1"]) == 2284
    assert acc["co2#1"]["LIN-INT#1"].processing_steps[0].input_series_names == ["co2#1_RAW#1"]
    assert "def linear_interpolation" in acc["co2#1"]["LIN-INT#1"].processing_steps[0].function_info.source_code
    (tmp_path / "tmp").mkdir()
    (tmp_path / "plant.yaml").write_text("mine")
    dataset = plant(series.open(f"sqlite:{tmp_path}/a.db"))
    dataset["flow#1"].process(["flow#1_RAW#1"], resample, "D")
    memory = Dataset(name="plant2", owner="me")
    memory.add(Signal(points(), name="flow", units="m3/h"))
    for one in (dataset, memory, acc):
        assert one.save(tmp_path) is one
        again = Dataset.load(tmp_path / f"{one.name}.zip")
        assert again.metadata_dict() == one.metadata_dict()
        for signal in one:
            for series_ in signal:
                same = again[signal.name][series_.name].series
                pd.testing.assert_series_equal(same, series_.series, check_freq=False, check_index_type=False)
        with pytest.raises(errors.ExistsError):
            one.save(tmp_path)
    assert (tmp_path / "plant.yaml").read_text() == "mine" and (tmp_path / "tmp").is_dir()
