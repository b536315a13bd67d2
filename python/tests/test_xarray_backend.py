"""States of a simulation as `xarray.open_dataset` reads them."""

import pickle
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

import siltstone
from siltstone.errors import InvalidError, NotFoundError

xr = pytest.importorskip("xarray")
from siltstone import _xarray_backend as backend


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.db"
    random = np.random.default_rng(1)
    with siltstone.open(path) as db:
        for t in range(0, 40, 2):
            roads = {
                "id": {"data": np.arange(5)},
                "speed": {"data": random.normal(size=5)},
                "at": {"data": random.normal(size=(5, 3)).astype(np.float32)},
            }
            if t >= 10:
                roads["lanes"] = {"data": random.integers(0, 4, 5)}
                roads["name"] = {"data": np.array([f"road {t} {i}" for i in range(5)])}
            db.simulation.store_update(t, 0, "net", {"roads": roads})
            lights = {"id": {"data": np.arange(2)}, "on": {"data": np.array([t % 4 == 0, True])}}
            db.simulation.store_update(t, 1, "net", {"lights": lights})
    return path


@pytest.fixture
def whole(path):
    """What the table of all states is, read at once."""
    with siltstone.open(path, read_only=True) as db:
        return db.simulation.states_table("net", "roads").to_xarray()


def test_all_states_are_those_of_the_table(path, whole):
    with xr.open_dataset(path, engine="siltstone", group="net/roads") as states:
        assert states.attrs == {"dataset": "net", "entity_group": "roads"}
        loaded = states.load()
    for name in ("speed", "at"):
        xr.testing.assert_identical(loaded[name], whole[name])
    assert (loaded["lanes"] == whole["lanes"]).all() and (loaded["lanes_undefined"] == whole["lanes_undefined"]).all()
    assert (loaded["name"].values == whole["name"].values.astype(object)).all()


@pytest.mark.parametrize(
    "pick",
    [
        {"timestamp": 3},
        {"timestamp": -1, "id": 2},
        {"timestamp": slice(2, 9, 3)},
        {"timestamp": slice(None, None, -1)},
        {"timestamp": slice(3, 3)},
        {"timestamp": [7, 1, 7], "id": [4, 0]},
        {"id": slice(1, 3), "at_1": 1},
        {"at_1": [2, 0]},
    ],
)
def test_any_part_is_that_part_of_the_whole(path, whole, pick):
    with xr.open_dataset(path, engine="siltstone", group="net/roads") as states:
        for name in ("speed", "at", "lanes", "lanes_undefined"):
            own = {dim: at for dim, at in pick.items() if dim in states[name].dims}
            xr.testing.assert_equal(states[name].isel(own).load(), whole[name].isel(own))
        points = {"timestamp": xr.DataArray([0, 5, 5], dims="p"), "id": xr.DataArray([1, 1, 4], dims="p")}
        xr.testing.assert_equal(states["speed"].isel(points), whole["speed"].isel(points))


def test_only_what_is_asked_for_is_read(path, monkeypatch):
    asked = []
    read = backend._States._read
    monkeypatch.setattr(backend._States, "_read", lambda self, times: asked.append(times) or read(self, times))
    with xr.open_dataset(path, engine="siltstone", group="net/roads") as states:
        assert asked == [(0,)]
        states["speed"].sel(timestamp=slice(6, 10)).load()
        states["at"].sel(timestamp=slice(6, 10)).load()
        assert asked == [(0,), (6, 8, 10)]


def test_a_mask_has_no_mask_and_another_process_opens_the_file_for_itself(path, whole):
    with xr.open_dataset(path, engine="siltstone", group="net/roads") as states:
        assert sorted(states) == ["at", "lanes", "lanes_undefined", "name", "name_undefined", "speed"]
        copy = pickle.loads(pickle.dumps(states))
        xr.testing.assert_equal(copy["speed"].load(), whole["speed"])


def test_asking_what_a_file_is_leaves_the_locks_of_others(path):
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    assert backend.SiltstoneBackend().guess_can_open(path)
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0.2).execute('BEGIN IMMEDIATE')"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "database is locked" in other.stderr
    conn.close()


def test_dask_reads_it_in_pieces(path, whole):
    pytest.importorskip("dask")
    with xr.open_dataset(path, engine="siltstone", group="net/roads", chunks={"timestamp": 7}) as states:
        xr.testing.assert_allclose(states["speed"].mean("timestamp").compute(), whole["speed"].mean("timestamp"))


def test_a_file_of_ours_is_recognised_and_its_group_must_be_named_if_there_are_more(path, tmp_path):
    with xr.open_dataset(path, group="net/lights") as states:
        assert states["on"].values.tolist()[:2] == [[True, True], [False, True]]
    with pytest.raises(InvalidError, match=r"group: expected one of net/lights, net/roads, got None"):
        xr.open_dataset(path, engine="siltstone")
    with pytest.raises(InvalidError, match="got 'net/rails'"):
        xr.open_dataset(path, engine="siltstone", group="net/rails")
    with xr.open_datatree(path, engine="siltstone") as tree:
        assert sorted(tree["net"].children) == ["lights", "roads"]
    with siltstone.init(tmp_path / "runs.db"):
        pass
    with pytest.raises(NotFoundError, match="no updates of a simulation"):
        xr.open_dataset(tmp_path / "runs.db", engine="siltstone")
    other = tmp_path / "text.db"
    other.write_text("no database")
    guess = backend.SiltstoneBackend().guess_can_open
    assert guess(path) and not guess(tmp_path / "runs.db") and not guess(other) and not guess(tmp_path / "none.db")


def test_attributes_can_be_left_out(path):
    with xr.open_dataset(path, engine="siltstone", group="net/roads", drop_variables=["at", "name", "lanes"]) as states:
        assert list(states) == ["speed"]
