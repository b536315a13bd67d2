"""States, updates and SQL as tables of other libraries."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import siltstone
from siltstone.simulation import State

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
xr = pytest.importorskip("xarray")


@pytest.fixture
def state(db):
    columns = {
        "id": {"data": [3, 1, 2]},
        "f": {"data": np.array([1.5, np.nan, 2.5], dtype=">f8")},
        "i": {"data": np.array([1, 2, 3], dtype="i8"), "mask": [False, True, False]},
        "b": {"data": np.array([True, False, True]), "mask": [False, False, True]},
        "s": {"data": ["Zürich", "_udf_", "b"]},
        "p": {"data": np.arange(6.0).reshape(3, 2)},
        "l": {"data": [1, 2, 3], "row_ptr": [0, 2, 2, 3]},
        "t": {"data": np.array(["2020-01-01", "2021-01-01", "NaT"], dtype="M8[s]")},
    }
    db.store_update(5, 0, "d", {"g": columns}, origin="m")
    return db.state_at("d", "g", 7)


def test_pandas_keeps_integers_and_says_what_is_undefined(state):
    """Goal: nullable integers stay integers; ragged and two-dimensional values are objects."""
    frame = state.to_pandas()
    assert frame.index.tolist() == [3, 1, 2] and frame.index.name == "id"
    assert str(frame["i"].dtype) == "Int64" and frame["i"].tolist()[0] == 1
    assert frame.loc[1].isna()[["f", "i", "s"]].all() and frame.loc[2].isna()[["b"]].all()
    assert frame["f"].dtype == "float64" and frame["s"][3] == "Zürich"
    assert frame["l"][3].tolist() == [1, 2] and frame["p"][2].tolist() == [4.0, 5.0]


def test_arrow_and_polars_take_a_state(state):
    """Goal: the C stream gives one row an entity, nulls where undefined, lists where ragged."""
    table = state.to_arrow()
    assert table.column_names == ["id", "f", "i", "b", "s", "p", "l", "t"]
    assert table["i"].to_pylist() == [1, None, 3] and table["f"].to_pylist() == [1.5, None, 2.5]
    assert table["l"].to_pylist() == [[1, 2], [], [3]]
    assert table["p"].to_pylist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert table["s"].to_pylist() == ["Zürich", None, "b"]
    assert pa.RecordBatchReader.from_stream(state).read_all().equals(table)
    frame = state.to_polars()
    assert frame.shape == (3, 8) and frame["b"].to_list() == [True, False, None]
    assert frame["t"].dtype == pl.Datetime("ms") or frame["t"].dtype.is_temporal()
    changed = state.copy()
    changed["f"] = {"data": np.zeros(3)}
    assert changed.to_arrow()["f"].to_pylist() == [0.0, 0.0, 0.0]  # what is in it is what is shown
    with pytest.raises(ValueError):
        State({"id": {"data": [1, 2]}, "x": {"data": [1.0]}}).to_arrow()


def test_xarray_names_its_dimensions(state):
    """Goal: one dimension `id`, further ones named after their attribute, masks beside."""
    data = state.to_xarray()
    assert data["p"].dims == ("id", "p_1") and data.attrs["timestamp"] == 7
    assert data["i_undefined"].values.tolist() == [False, True, False]
    assert float(data["f"].sel(id=2)) == 2.5 and np.isnan(data["f"].sel(id=1))


def test_other_libraries_take_a_state_for_a_table(state):
    """Goal: PyArrow, pandas and Polars take the state itself, and never its names for data."""
    expected = state.to_arrow()
    assert pa.table(state).equals(expected)
    assert pd.DataFrame.from_arrow(state)["f"].fillna(0).tolist() == [1.5, 0.0, 2.5]
    frame = pl.DataFrame(state)
    assert frame.columns == expected.column_names and frame["l"].to_list() == [[1, 2], [], [3]]
    assert pa.RecordBatchReader.from_stream(state).read_all().equals(expected)
    # What cannot take a table is told so, and does not make one of the names.
    for wrong in (pd.DataFrame, np.asarray, pd.Series):
        with pytest.raises(TypeError, match="to_pandas"):
            wrong(state)


def test_a_state_reads_and_changes_as_a_dict(db, state):
    """Goal: every way to look into a dict, `dict(state)`, equality by bits, and storing it again."""
    import copy
    import pickle

    names = ["id", "f", "i", "b", "s", "p", "l", "t"]
    assert list(state) == list(state.keys()) == list(dict(state)) == list({**state}) == names
    assert len(state) == 8 and "f" in state and "g" not in state
    assert state.get("g") is None and state.get("f") is state["f"]
    assert [name for name, _ in state.items()] == names and len(state.values()) == 8
    assert reversed(state) is not None and bool(state) and not State()
    for again in (pickle.loads(pickle.dumps(state)), copy.deepcopy(state), dict(state)):
        assert again == state and state == again
    changed = state.copy()
    changed["p"] = {"data": state["p"]["data"] + 1}
    assert changed != state and state != {"id": 1} and state != 3
    del changed["l"]
    assert changed.pop("t")["data"].dtype == "M8[s]" and changed.pop("t", None) is None
    changed.update(x={"data": [1, 2, 3]})
    assert changed.setdefault("x", 1) == {"data": [1, 2, 3]} and "l" not in changed
    with pytest.raises(KeyError):
        state["g"]
    with pytest.raises(TypeError):
        hash(state)
    db.store_update(8, 0, "d", {"copy": state.copy()})
    assert db.state_at("d", "copy", 8).rows("s") == state.rows("s")


def test_a_state_is_a_dict_with_words(state):
    """Goal: masked arrays, rows, HTML, pickling and copying."""
    import pickle

    assert state.masked("i").tolist() == [1, None, 3] and state.rows("l")[1].tolist() == []
    assert state.masked("p").shape == (3, 2)
    with pytest.raises(ValueError):
        state.masked("l")
    html = state._repr_html_()
    assert "d/g at 7: 3 entities" in html and "Zürich" in html and "<script" not in html
    again = pickle.loads(pickle.dumps(state))
    assert isinstance(again, State) and again.timestamp == 7 and again["s"]["data"][0] == "Zürich"
    assert again.to_pandas().equals(state.to_pandas())
    assert isinstance(state.copy(), State) and "State(d/g at 7" in repr(state)


def test_html_escapes_names(db):
    """Goal: a name is text, also in a notebook."""
    db.store_update(0, 0, "<script>x</script>", {"<b>": {"id": {"data": [1]}}})
    html = db._repr_html_()
    assert "<script>" not in html and "&lt;b&gt;" in html and "1 updates" in html


def test_sql_gives_rows_and_tables(db, state):
    """Goal: columns and tuples, and the same rows in pandas, Polars and Arrow."""
    found = db.sql("SELECT timestamp, origin, 0.5 AS half, x'00ff' AS b, NULL AS n FROM \"update\"")
    assert isinstance(found, siltstone.QueryResult)
    assert found.columns == ["timestamp", "origin", "half", "b", "n"]
    assert found.rows == list(found) == [(5, "m", 0.5, b"\x00\xff", None)]
    assert len(found) == 1 and found[0][1] == "m" and "query" in found._repr_html_()
    assert found.to_pandas()["half"].tolist() == [0.5]
    assert found.to_polars().columns == found.columns
    assert pa.table(found)["timestamp"].to_pylist() == [5]
    assert pd.DataFrame(found).columns.tolist() == found.columns
    assert pd.DataFrame(found)["origin"].tolist() == ["m"]
    twice = db.sql("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a")
    for frame in (twice.to_pandas(), pd.DataFrame(twice), twice.to_polars().to_pandas()):
        assert frame.columns.tolist() == ["a", "a_3", "a_2", "a_4"]
        assert frame.iloc[0].tolist() == [1, 2, 3, 4]
    assert twice.columns == ["a", "a", "a_2", "a"] and twice.rows == [(1, 2, 3, 4)]
    none = db.sql("SELECT 1 AS a, 2 AS a WHERE 0")
    assert none.to_pandas().columns.tolist() == ["a", "a_2"] and none.rows == []
    assert pickle.loads(pickle.dumps(found.rows)) == found.rows
    assert found.to_xarray()["half"].dims == ("row",)
    items = db.sql("SELECT silt_items(dtype, shape, codec, data) FROM numpy_array WHERE dtype = '>f8'")
    assert items[0][0].startswith("[1.5")
    for bad in ('DELETE FROM "update"', "SELECT", "SELECT * FROM nothing", "CREATE TABLE x (y)"):
        with pytest.raises(siltstone.SiltstoneError):
            db.sql(bad)
    assert db.get_update_count() == 1


def test_long_tables_stream(db, tmp_path):
    """Goal: all updates and all states of a group as one table, and as a file."""
    for t in range(3):
        db.store_update(t, 0, "d", {"g": {"id": {"data": [1, 2]}, "x": {"data": [t, np.nan]}}})
    updates, states = db.updates_table("d", "g"), db.states_table("d", "g", [0, 2])
    assert updates.columns == ["timestamp", "iteration", "id", "x"]
    assert pa.table(updates)["x"].to_pylist() == [0.0, None, 1.0, None, 2.0, None]
    assert states.to_polars()["x"].to_list() == [0.0, None, 2.0, None]
    assert len(db.states_table("d", "g").to_arrow()) == 6
    written = updates.write(tmp_path / "u.parquet")
    assert written.rows == 6 and pd.read_parquet(tmp_path / "u.parquet")["x"].sum() == 3.0
    with pytest.raises(siltstone.errors.ExistsError):
        updates.write(tmp_path / "u.parquet")
    assert updates.write(tmp_path / "u.csv").rows == 6
    with pytest.raises(ValueError, match="parquet"):
        updates.write(tmp_path / "u.xlsx")
    with pytest.raises(KeyError):
        pa.table(db.updates_table("d", "nothing"))


def test_tables_become_datasets_of_xarray(db, state):
    """Goal: states over timestamp and id, everything else over its rows; each type, and what is
    undefined, as a single state has it.
    """
    more = {"id": {"data": [2, 4]}, "i": {"data": np.array([20, 40])}, "f": {"data": [0.5, 4.5]}}
    db.store_update(9, 0, "d", {"g": {**more, "z": {"data": np.array([1j, 2 + 1j], dtype="c8")}}})
    data = db.states_table("d", "g", [5, 9, 9]).to_xarray()
    assert dict(data.sizes) == {"timestamp": 3, "id": 4, "p_1": 2}
    assert data["timestamp"].values.tolist() == [5, 9, 9]
    assert data["id"].values.tolist() == [3, 1, 2, 4]
    assert data.attrs == {"dataset": "d", "entity_group": "g"}
    for at, time in enumerate([5, 9]):
        one = db.state_at("d", "g", time).to_xarray()
        for name in one.data_vars:
            if name in ("s", "l") or name not in data:
                continue  # objects, and values that say themselves what is undefined
            values, expected = data[name].values[at], one[name].values
            if name.endswith("_undefined") or f"{name}_undefined" not in one:
                np.testing.assert_array_equal(values, expected, err_msg=name)
            else:
                defined = ~one[f"{name}_undefined"].values
                np.testing.assert_array_equal(values[defined], expected[defined], err_msg=name)
    assert data["s"].values[1].tolist() == ["Zürich", "", "b", ""]
    assert data["s_undefined"].values[1].tolist() == [False, True, False, True]
    assert data["l"].values[0, 0].tolist() == [1, 2] and data["l"].values[0, 3] is None
    assert data["i"].dtype == np.int64 and data["t"].dtype.kind == "M"
    assert data["z"].values[1, 3] == 2 + 1j and np.isnan(data["z"].values[0, 3])
    assert float(data["f"].sel(timestamp=5, id=2)) == 2.5
    updates = db.updates_table("d", "g").to_xarray()
    assert dict(updates.sizes) == {"row": 5, "p_1": 2}
    assert updates["id"].values.tolist()[3:] == [2, 4]
    assert updates["i"].values[3:].tolist() == [20, 40]
    assert updates["i_undefined"].values.tolist() == [False, True, False, False, False]
    empty = db.states_table("d", "g", []).to_xarray()
    assert dict(empty.sizes)["timestamp"] == 0 and "f" in empty
    assert db.sql("SELECT 1 AS a WHERE 0").to_xarray().sizes["row"] == 0


def test_many_states_become_a_dataset_with_little_more_memory(path, tmp_path):
    """Goal: 10,000 entities at 100 times; the memory beside the result is a column or so."""
    program = f"""
import resource
import numpy as np, pyarrow, xarray
from siltstone.simulation import SimulationDatabase
n, times, columns = 10_000, 100, 8
with SimulationDatabase({str(path)!r}) as db:
    for t in range(times):
        data = {{f"x{{c}}": {{"data": np.full(n, t + c / 10)}} for c in range(columns)}}
        db.store_update(t, 0, "d", {{"g": {{"id": {{"data": np.arange(n)}}, **data}}}})
    db.states_table("d", "g", [0, 1]).to_xarray()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = db.states_table("d", "g").to_xarray()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert data["x3"].shape == (times, n) and float(data["x3"].sel(timestamp=50, id=7)) == 50.3
    print(grown / data.nbytes)
"""
    pytest.importorskip("resource")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1.9, ran.stdout


def test_tables_and_datasets_show_themselves(db, state):
    """Goal: a notebook shows the first rows of a table, and the groups of a dataset."""
    html = db.updates_table("d", "g")._repr_html_()
    assert "updates of d/g" in html and "Zürich" in html and "more" not in html
    ids = np.arange(5000)
    db.store_update(6, 0, "<d>", {"g": {"id": {"data": ids}, "x": {"data": ids * 1.5}}})
    html = db.states_table("<d>", "g")._repr_html_()
    assert html.count("<tr>") == 11 and "and more" in html and "<d>" not in html
    assert "more" not in db.states_table("<d>", "g", [])._repr_html_()
    with siltstone.simulation.get_simulation_results(updates_path=db.path) as results:
        html = results.get_dataset("d")._repr_html_()
    assert "<td>g</td>" in html and "f, i, b" in html and "timestamps 5 to 5" in html


def test_what_the_schema_calls_a_bool_is_one_in_pandas(tmp_path):
    """Goal: JSON bools, which are stored as bytes, are bools in pandas as they are in Polars, nullable
    where undefined; bytes that are no bools stay bytes.
    """
    from siltstone.simulation import AttributeSpec, SimulationDatabase

    (tmp_path / "t0_0_d.json").write_text(
        '{"d":{"g":{"id":[1,2,3],"all":[true,false,true],"some":[true,null,false],"n":[1,0,5]}}}'
    )
    schema = [AttributeSpec(name, bool) for name in ("all", "some")]
    with SimulationDatabase(tmp_path / "run.db") as db:
        db.import_json(updates_dir=tmp_path, schema=schema)
        state = db.state_at("d", "g", 0)
        frame, polars = state.to_pandas(), state.to_polars()
        assert polars["all"].dtype == polars["some"].dtype == pl.Boolean
        assert frame["all"].dtype == bool and frame["all"].tolist() == [True, False, True]
        assert str(frame["some"].dtype) == "boolean" and frame["some"].isna().tolist() == [
            False,
            True,
            False,
        ]
        assert state["all"]["data"].dtype == np.int8  # the state itself is as it was stored
        db.store_update(1, 0, "d", {"g": {"id": [1], "all": np.array([7], dtype="i1")}})
        seven = db.state_at("d", "g", 1)
        assert seven.to_pandas()["all"].tolist() == seven.to_polars()["all"].to_list() == [7, 0, 1]
