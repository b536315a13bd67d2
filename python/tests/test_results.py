"""Recorded runs looked at afterwards: real ones, through every way in."""

import json
import math
from datetime import date, datetime, timezone

import numpy as np
import pytest

from siltstone.errors import CorruptError, InvalidError, NotFoundError, NotOursError
from siltstone.simulation import (
    AttributeSpec,
    SimulationDatabase,
    SimulationResults,
    SQLiteSimulationResults,
    State,
    TimelineInfo,
    detect_results_format,
    get_simulation_results,
)

RUNS = {
    "edge": ("edge", "edge/attributes.json"),
    "water_net3": ("net3", "water_attributes.json"),
    "water_net3_week": ("net3w", "water_attributes.json"),
}


class Recorded:
    def __init__(self, shared, name):
        simulation = shared / "data" / "simulation"
        scenario, schema = RUNS[name]
        self.folder = simulation / name
        self.init = self.folder / "init_data"
        self.updates = self.folder / "scenarios" / scenario
        self.database = self.folder / f"{scenario}.db"
        self.schema = simulation / schema
        self.expected = json.loads((self.folder / "expected.json").read_text())

    def opened(self, way, tmp_path):
        if way == "json":
            return SimulationResults(self.init, self.updates, attributes=self.schema)
        if way == "movici":
            return SQLiteSimulationResults(self.database, self.init, attributes=self.schema)
        with SimulationDatabase(tmp_path / "imported") as db:
            report = db.import_json(self.init, self.updates, schema=self.schema)
            assert report.skipped == [] and db.verify().ok
        return get_simulation_results(updates_path=tmp_path / "imported")


@pytest.fixture(params=RUNS)
def recorded(request, shared):
    return Recorded(shared, request.param)


@pytest.mark.parametrize("way", ["json", "movici", "imported"])
def test_real_runs_have_the_expected_facts(recorded, tmp_path, way):
    """Goal: counts, timestamps, sums and first values of every column at every listed time are
    those that movici computes.
    """
    columns = 0
    with recorded.opened(way, tmp_path) as results:
        expected = recorded.expected["datasets"]
        assert sorted(results.get_datasets()) == sorted(expected)
        for name, facts in expected.items():
            dataset = results.get_dataset(name)
            assert results.get_timestamps(name) == facts["timestamps"]
            assert len(dataset.updates) == recorded.expected["update_files"][name]
            assert dataset.metadata["type"] == facts["metadata"]["type"]
            for group, group_facts in facts["entity_groups"].items():
                assert dataset.get_timestamps(group) == group_facts["timestamps"]
                for time, columns_at in group_facts["state_at"].items():
                    state = dataset.slice(group, timestamp=int(time))
                    assert len(state.ids) == group_facts["count"]
                    assert [n for n in state if n != "id"] == list(columns_at)
                    for attribute, column in columns_at.items():
                        check(state, attribute, column, (name, group, time, attribute))
                        columns += 1
    assert columns > 10


def check(state, attribute, facts, where):
    values = state.rows(attribute)
    defined = [v for v in values if v is not None]
    assert len(values) == facts["rows"], where
    assert len(values) - len(defined) == facts["undefined_rows"], where
    assert ("row_ptr" in state[attribute]) == facts["csr"], where
    if "sum" in facts and not facts["csr"] and state[attribute]["data"].ndim == 1:
        assert math.isclose(math.fsum(map(float, defined)), facts["sum"], rel_tol=1e-12), where
        assert (min(defined), max(defined)) == (facts["min"], facts["max"]), where
    is_bool = facts["dtype"] == "|i1"
    for value, first in zip(values, facts["first3"], strict=False):
        plain = value.tolist() if hasattr(value, "tolist") else value
        plain = bool(plain) if is_bool and isinstance(plain, int) else plain
        assert plain == first or has_undefined(first), (where, plain, first)


def has_undefined(first):
    """A row that is defined in part, which movici shows in its own way."""
    return (isinstance(first, list) and None in str(first).split()) or "None" in str(first)


def test_slices_by_time_attribute_and_entity(shared):
    """Goal: the three cuts have the documented shapes, and their numbers agree."""
    recorded = Recorded(shared, "water_net3")
    results = get_simulation_results(recorded.init, recorded.updates, attributes=recorded.schema)
    assert isinstance(results, SimulationResults) and results.format == "json"
    dataset = results.get_dataset("net3_network")
    group, attribute = "water_junction_entities", "drinking_water.pressure"
    state = dataset.slice(group, timestamp=43200)
    assert isinstance(state, State) and math.isclose(state[attribute]["data"].sum(), 4180.55514, abs_tol=1e-6)
    history = dataset.slice(group, attribute=attribute)
    assert len(history["timestamps"]) == len(history["data"]) == 24
    at = history["timestamps"].index(43200)
    assert (history["data"][at]["data"] == state[attribute]["data"]).all()
    entity = dataset.slice(group, entity_selector=np.int64(2))
    assert list(entity["data"]) == [n for n in state if n != "id"]
    row = list(state.ids).index(2)
    assert entity["data"][attribute][at] == state[attribute]["data"][row]
    name = state.rows("reference")[row]
    assert dataset.slice(group, entity_selector=str(name), key="reference") == entity
    assert dataset.slice(group, attribute="nothing") == {"timestamps": [], "id": [], "data": []}
    assert dataset.slice("nothing", timestamp=0) is None
    with pytest.raises(ValueError, match="too few"):
        dataset.slice(group)
    with pytest.raises(ValueError, match="too many"):
        dataset.slice(group, timestamp=0, attribute=attribute)
    with pytest.raises(ValueError):
        dataset.slice(group, entity_selector=123456)
    with pytest.raises(TypeError):
        dataset.slice(group, timestamp=1.5)
    with pytest.raises(ValueError) as raised:
        results.get_dataset("nothing")
    assert isinstance(raised.value, NotFoundError)
    assert [info.name for info in dataset.attributes(group)] == [n for n in state if n != "id"]


def test_times_as_text_and_datetime(path):
    """Goal: an integer, ISO text, a datetime with and without zone, and numpy's mean one time."""
    with SimulationDatabase(path) as db:
        for t in range(3):
            db.store_update(t * 60, 0, "d", {"g": {"id": {"data": [1]}, "x": {"data": [float(t)]}}})
    timeline = TimelineInfo(reference=1_577_836_800, time_scale=1)
    with get_simulation_results(updates_path=str(path), timeline_info=timeline) as results:
        dataset = results.get_dataset("d")
        times = [
            60,
            np.int32(60),
            "60",
            "2020-01-01T00:01:00",
            "2020-01-01 01:01+01:00",
            datetime(2020, 1, 1, 0, 1),
            datetime(2020, 1, 1, 0, 1, tzinfo=timezone.utc),
            np.datetime64("2020-01-01T00:01:00"),
        ]
        for time in times:
            state = dataset.slice("g", timestamp=time)
            assert state["x"]["data"].tolist() == [1.0] and state.timestamp == 60, time
            assert dataset.state_at("g", time) == state
            cursor = dataset.cursor("g", time)
            assert cursor.timestamp == 60 and cursor.move_to(0) and cursor.move_to(time) == state
        assert dataset.slice("g", timestamp=date(2020, 1, 1)).timestamp == 0
        assert dataset.cursor("g").move_to(date(2020, 1, 2)).timestamp == 86_400
    with get_simulation_results(updates_path=path) as results, pytest.raises(InvalidError, match="no timeline"):
        results.get_dataset("d").slice("g", timestamp="2020-01-01")
    with SimulationDatabase(path) as db:
        for wrong in ("2020-01-01", datetime(2020, 1, 1), date(2020, 1, 1), np.datetime64("2020")):
            for call in (db.resume_from, lambda at: db.state_at("d", "g", at)):
                with pytest.raises(InvalidError, match="no timeline"):
                    call(wrong)
        db.set_timeline(1_577_836_800)
        for time in times:
            state = db.state_at("d", "g", time)
            assert state["x"]["data"].tolist() == [1.0] and state.timestamp == 60, time
            cursor = db.cursor("d", "g", time)
            assert cursor.timestamp == 60 and cursor.move_to(0) and cursor.move_to(time) == state
        assert db.state_at("d", "g", date(2020, 1, 1)).timestamp == 0
        with pytest.raises(InvalidError):
            db.state_at("d", "g", np.datetime64("NaT"))
        with pytest.raises(InvalidError):
            db.state_at("d", "g", "yesterday")
        assert db.resume_from("2020-01-01T00:01:30") == 1
        assert db.resume_from(date(2020, 1, 1)) == 1 and db.get_timestamps("d") == [0]


def test_the_edge_cases_that_movici_gets_wrong(shared):
    """Goal: text is not cut, and ids that appear in mid-run have a right history."""
    folder = shared / "data" / "simulation" / "edge_bugs"
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    scenarios = {p.name: p for p in (folder / "scenarios").iterdir() if p.is_dir()}
    assert len(cases) == 4
    for case in cases:
        (updates,) = [p for name, p in scenarios.items() if list(p.glob(f"*_{case['dataset']}.json"))]
        dataset = get_simulation_results(folder / "init_data", updates).get_dataset(case["dataset"])
        state = dataset.slice(case["group"], timestamp=case["t"])
        assert state.rows(case["attribute"]) == case["correct"], case["why" if "why" in case else "t"]


def test_detection_looks_at_what_is_there(tmp_path, shared):
    """Goal: the name of a file or of its parent says nothing."""
    recorded = Recorded(shared, "edge")
    assert detect_results_format(recorded.database) == "sqlite"
    assert detect_results_format(str(recorded.updates)) == "json"
    assert detect_results_format(recorded.folder) == "sqlite"
    run = tmp_path / "run.results"
    SimulationDatabase(run).close()
    assert detect_results_format(run) == "sqlite"
    (tmp_path / "notes.db").write_text("a text, which is not a database at all")
    with pytest.raises(NotOursError, match="left as it is"):
        detect_results_format(tmp_path / "notes.db")
    with pytest.raises(NotFoundError):
        detect_results_format(tmp_path / "nowhere")
    (tmp_path / "updates").mkdir()
    assert detect_results_format(tmp_path / "updates") == "json"
    with pytest.raises(TypeError):
        get_simulation_results()


def test_a_malformed_file_is_named(tmp_path):
    """Goal: a broken JSON file is an error of the reader and a line in the import's report."""
    (tmp_path / "t0_0_a.json").write_text('{"a":{"g":{"id":[1],"x":[1.5]}}}')
    (tmp_path / "t1_0_a.json").write_text('{"a":{"g":{"id":[1],"x":[1.5]')
    with pytest.raises(CorruptError, match="t1_0_a.json"):
        SimulationResults(None, tmp_path)
    seen = []
    with SimulationDatabase(tmp_path / "run.db") as db:
        report = db.import_json(updates_dir=tmp_path, progress=lambda *at: seen.append(at))
        assert report.updates == 1 and report.skipped[0].path.name == "t1_0_a.json"
        assert seen[-1] == (2, 2)
        again = db.import_json(updates_dir=tmp_path)
        assert (again.updates, again.unchanged) == (0, 1)

        def stop(done, all):
            raise RuntimeError("stop here")

        with pytest.raises(RuntimeError, match="stop here"):
            db.import_json(updates_dir=tmp_path, progress=stop)


def test_attribute_types_in_every_form(tmp_path):
    """Goal: a spec is taken as ours, as a dict, as text, or as an object with a data type."""

    class DataType:
        py_type, unit_shape, csr = float, (2,), False

    class Foreign:
        name, data_type, enum_name = "p", DataType, None

    (tmp_path / "t0_0_a.json").write_text('{"a":{"g":{"id":[1],"p":[[1.0,2.0]]}}}')
    plain = {"name": "p", "py_type": "float", "unit_shape": [2]}
    forms = [[AttributeSpec("p", float, (2,))], [plain], json.dumps([plain]), [Foreign]]
    for form in forms:
        results = SimulationResults(None, tmp_path, attributes=form)
        assert results.get_dataset("a").slice("g", timestamp=0)["p"]["data"].shape == (1, 2)
        assert results.schema == [AttributeSpec("p", "float", (2,))]
    with SimulationDatabase(tmp_path / "run.db") as db:
        db.schema = forms[0]
        assert db.schema == [AttributeSpec("p", "float", (2,))]
    with pytest.raises(ValueError):
        SimulationResults(None, tmp_path, attributes=[{**plain, "py_type": "decimal"}])
