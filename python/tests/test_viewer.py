"""What movici-viewer, and movici's own collector and tests, ask of a recorded run and of its parts."""

import itertools
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from siltstone.errors import InvalidError, NotFoundError
from siltstone.simulation import (
    FileStorageStrategy,
    Settings,
    SimulationDatabase,
    SQLiteStorageStrategy,
    UpdateInfo,
    get_simulation_results,
)

INITIAL = {
    "name": "plant",
    "type": "water",
    "general": {"enum": {"mode": ["off", "on"]}, "special": {"pumps.power": -9999.0}},
    "data": {
        "pumps": {
            "id": [1, 2],
            "power": [10.0, None],
            "state": [1, None],
            "on": [True, None],
            "label": ["a long label", None],
            "line": [[[0.0, 0.0], [1.0, 2.0]], None],
        }
    },
}
UPDATES = {
    "t0_0_plant": {"pumps": {"id": [2], "power": [20.0], "line": [[[5.0, 6.0]]]}},
    "t60_0_plant": {"pumps": {"id": [1, 3], "power": [11.0, 30.0], "late": [7, None]}},
    "t60_1_plant": {"tanks": {"id": [9], "level": [1.5]}},
}
SCHEMA = [
    {"name": "on", "py_type": "bool"},
    {"name": "line", "py_type": "float", "unit_shape": [2], "csr": True},
    {"name": "state", "py_type": "int", "enum_name": "mode"},
]


@pytest.fixture(params=["json", "sqlite"])
def results(request, tmp_path):
    """The same run, as a folder and as a database."""
    (tmp_path / "init").mkdir()
    (tmp_path / "updates").mkdir()
    (tmp_path / "init" / "plant.json").write_text(json.dumps(INITIAL))
    for name, update in UPDATES.items():
        (tmp_path / "updates" / f"{name}.json").write_text(json.dumps({"plant": update}))
    schema = [{"unit_shape": [], "csr": False, "enum_name": None, **spec} for spec in SCHEMA]
    path = tmp_path / "updates"
    if request.param == "sqlite":
        path = tmp_path / "run.db"
        with SimulationDatabase(path) as db:
            assert db.import_json(None, tmp_path / "updates", schema=schema).skipped == []
    # movici's own schema keeps its attributes in a dictionary.
    attributes = SimpleNamespace(attributes={spec["name"]: spec for spec in schema})
    with get_simulation_results(tmp_path / "init", path, attributes=attributes) as results:
        assert results.init_data_dir == tmp_path / "init" and results.format == request.param
        yield results


def columns(state, group="pumps"):
    return {name: column["data"].tolist() for name, column in state.to_dict()["plant"][group].items()}


def test_a_dataset_has_a_state_that_moves_in_time(results):
    """Goal: `dataset.state` reads as movici's: all groups, at the end first, undefined as values of its dtypes."""
    state = results.get_dataset("plant").state
    assert (state.last_timestamp, state.timestamp) == (60, 60)
    assert state.get_timestamps("plant") == [0, 60] and state.get_timestamps("plant", "tanks") == [60]
    assert state.get_timestamps("plant", "nothing") == state.get_timestamps("other") == []
    end = state.to_dict()
    assert list(end) == ["plant"] and set(end["plant"]) == {"pumps", "tanks"}
    dtypes = {name: column["data"].dtype.str for name, column in end["plant"]["pumps"].items()}
    assert dtypes == {
        "id": "<i4",
        "power": "<f8",
        "state": "<i4",
        "on": "|i1",
        "label": "<U12",
        "line": "<f8",
        "late": "<i4",
    }
    assert columns(state)["power"] == [11.0, 20.0, 30.0]
    power = state.get_attribute("plant", "pumps", "power")
    state.move_to(-1)
    # Every entity of the run has a row, also before it is there.
    assert np.array_equal(power.array, [10.0, np.nan, np.nan], equal_nan=True)
    assert power.is_undefined().tolist() == [False, True, True] and not power.is_initialized()
    found = columns(state)
    none = -(2**31)
    assert (found["id"], found["state"], found["on"]) == ([1, 2, 3], [1, none, none], [1, -128, -128])
    assert (found["label"], found["late"]) == (["a long label", "_udf_", "_udf_"], [none] * 3)
    assert np.isnan(columns(state, "tanks")["level"][0])
    state.move_to(59)
    assert columns(state)["power"][:2] == [10.0, 20.0]
    with pytest.raises(InvalidError):
        state.move_to("soon")
    assert state.timestamp == 59


def test_attributes_of_a_state_say_what_they_are(results):
    """Goal: what the viewer asks of attribute and index: type, ragged values, enumeration, rows of ids."""
    state = results.get_dataset("plant").state
    listed = {(dataset, group, name) for dataset, group, name, _ in state.iter_attributes()}
    assert ("plant", "tanks", "level") in listed and not any(name == "id" for _, _, name in listed)
    index = state.index["plant"]["pumps"]
    assert (len(index), index.ids.tolist(), index[3], index[[3, 8]].tolist()) == (3, [1, 2, 3], 2, [2, -1])
    line = state.get_attribute("plant", "pumps", "line")
    assert (line.data_type.csr, line.data_type.unit_shape, line.data_type.py_type) == (True, (2,), float)
    assert line.csr.row_ptr.tolist() == [0, 2, 3, 4] and line.csr.get_row(1).tolist() == [[5.0, 6.0]]
    assert line.is_undefined().tolist() == [False, False, True]
    assert line.slice([1]).data.tolist() == [[5.0, 6.0]] and len(line) == 3
    assert set(line.to_dict()) == {"data", "row_ptr"}
    power, mode = (state.get_attribute("plant", "pumps", name) for name in ("power", "state"))
    assert power.options.special == -9999.0 and not power.is_special().any()
    # A plain attribute has a list of one value an entity too, which movici's functions look at.
    assert power.csr.data.tolist() == power.array.tolist() == power[:].tolist()
    assert mode.get_enum_string(1) == "on"
    for wrong in (lambda: power.get_enum_string(0), lambda: mode.get_enum_string(2), lambda: line.array):
        with pytest.raises(InvalidError):
            wrong()
    with pytest.raises(NotFoundError, match="'nothing'"):
        state.get_attribute("plant", "pumps", "nothing")


def test_a_state_outlives_its_results(results):
    """Goal: a dataset is read after the block that opened its results, as movici's tests do."""
    dataset = results.get_dataset("plant")
    results.close()
    dataset.state.move_to(0)
    assert columns(dataset.state)["power"][:2] == [10.0, 20.0]


def test_a_state_equals_a_dictionary_of_movici(results):
    """Goal: a state and a dictionary are equal by value, with undefined values as movici's sentinel values."""
    state = results.get_dataset("plant").slice("tanks", timestamp=60)
    assert state == {"id": {"data": np.array([9])}, "level": {"data": np.array([1.5])}}
    assert state != {"id": {"data": np.array([9])}, "level": {"data": np.array([1.0])}}
    assert state != {"id": {"data": np.array([9])}}
    pumps = results.get_dataset("plant").slice("pumps", timestamp=0)
    assert pumps == {name: dict(column) for name, column in pumps.items()}
    given = {name: dict(column) for name, column in pumps.items()}
    data = np.array([1, -(2**31)], dtype="<i4")
    given["state"] = {"data": np.resize(data, len(pumps.ids)) if len(pumps.ids) == 2 else np.append(data, data[1])}
    assert pumps == given
    given["state"] = {"data": np.zeros(len(pumps.ids), dtype="<i4")}
    assert pumps != given


class Real:
    """Settings as movici has them: other fields, and the working directory as a default that nobody chose."""

    def __init__(self, tmp_path):
        self.storage, self.storage_dir, self.data_dir = "sqlite", tmp_path / "out", tmp_path
        self.datasets, self.timeline_info, self.model_fields_set = [{"name": "plant"}], None, {"storage"}


@pytest.mark.parametrize("strategy", [FileStorageStrategy, SQLiteStorageStrategy])
def test_a_strategy_serves_the_collector_of_movici(tmp_path, strategy):
    """Goal: `choose` takes the settings and the config of movici, and iterations begin anew at each timestamp."""
    (tmp_path / "foreign.json").write_text("no dataset")
    config = {"name": "collector", "type": "data_collector", "gather_filter": "*"}
    made = strategy.choose(model_config=config, settings=Real(tmp_path), logger=logging.getLogger())
    model = SimpleNamespace(iteration=itertools.count(5))
    made.initialize()
    for timestamp in (0, 10):
        made.reset_iterations(model)
        data = {"pumps": {"id": {"data": np.array([1])}, "power": {"data": np.array([float(timestamp)])}}}
        made.store(UpdateInfo("plant", timestamp, next(model.iteration), data, "source"))
    made.close()
    results = get_simulation_results(updates_path=tmp_path / "out")
    assert results.get_timestamps("plant") == [0, 10]
    updates = results.get_dataset("plant").updates
    assert [update["iteration"] for update in updates] == [0, 0]


def test_results_go_to_files_unless_asked():
    """Goal: the documented default of the storage."""
    assert Settings().storage == "file"
