"""States, updates and SQL as tables of other libraries."""

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
    twice = db.sql("SELECT 1 AS a, 2 AS a").to_pandas()
    assert twice.columns.tolist() == ["a", "a"] and twice.iloc[0].tolist() == [1, 2]
    items = db.sql(
        "SELECT silt_items(dtype, shape, codec, data) FROM numpy_array WHERE dtype = '>f8'"
    )
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
