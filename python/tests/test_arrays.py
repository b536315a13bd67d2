"""Every number comes back bit for bit, whatever its dtype, order, stride and shape."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.simulation import SimulationDatabase

DTYPES = (
    ["|b1", "|i1", "|u1", "|S1", "|S7"]
    + [f"{order}{kind}" for order in "<>" for kind in (
        "i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "U1", "U5",
        "M8[ns]", "M8[D]", "M8[25us]", "m8[s]", "m8[ms]",
    )]
)  # fmt: skip


def same(a, b):
    """Equal by bits: NaN is equal to itself, and 0.0 is not -0.0."""
    return (a.dtype.str, a.shape, a.tobytes()) == (b.dtype.str, b.shape, b.tobytes())


def bits(dtype, count, seed=7):
    """Random bytes as items; valid code points for text."""
    dtype, random = np.dtype(dtype), np.random.default_rng(seed)
    if dtype.kind == "b":
        return random.integers(0, 2, count).astype("?")
    if dtype.kind == "U":
        points = random.integers(1, 0xD000, count * dtype.itemsize // 4).astype("<u4")
        return points.view(f"<U{dtype.itemsize // 4}").astype(dtype)
    return np.frombuffer(random.bytes(count * dtype.itemsize), dtype)


def round_trip(db, array, timestamp=0, **more):
    ids = np.arange(len(array))
    data = {"g": {"id": {"data": ids}, "x": {"data": array, **more}}}
    dataset = "d" if timestamp == 0 else f"d{timestamp}"  # of one dataset all have one shape
    db.store_update(timestamp, 0, dataset, data)
    (update,) = db.iter_updates(dataset, timestamp, timestamp)
    return update["g"]["x"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_comes_back_by_bits(db, dtype):
    """Goal: dtype, shape, byte order and bits of random items, in C order, Fortran order,
    strided, reversed, sliced from a larger array, and empty.
    """
    base = bits(dtype, 4 * 3 * 2).reshape(4, 3, 2)
    layouts = [
        base,
        np.asfortranarray(base),
        base.transpose(2, 0, 1),
        base[::2],
        base[::-1, ::-1],
        base[1:3, 1:, :1],
        np.broadcast_to(base[:1], (5, 3, 2)),
        base[:0],
        base[:, :0],
        base.reshape(-1),
    ]
    for timestamp, array in enumerate(layouts):
        back = round_trip(db, array, timestamp)["data"]
        assert same(np.ascontiguousarray(array), back), (dtype, timestamp)
        assert back.flags.writeable and back.flags.c_contiguous and back.flags.aligned


def test_large_arrays_own_their_memory(db):
    """Goal: an array over Rust's memory is writeable and outlives everything else."""
    array = np.random.default_rng(1).random((3000, 7))
    back = round_trip(db, array)["data"]
    assert same(array, back)
    back[0] = 1.0
    again = db.get_dataset_updates("d")[0]["g"]["x"]["data"]
    db.close()
    del db
    assert same(array, again) and back[0, 0] == 1.0 and back.base is not None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_array_comes_back_by_bits(tmp_path, data):
    """Goal: whatever hypothesis makes, subnormals, NaN payloads and infinities among it."""
    kinds = st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.complex_number_dtypes(sizes=(64, 128)),
        hnp.datetime64_dtypes(),
        hnp.timedelta64_dtypes(),
        hnp.byte_string_dtypes(),
        hnp.unicode_string_dtypes(),
    )
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
    array = data.draw(hnp.arrays(kinds, shapes))
    path = tmp_path / "run.db"
    path.unlink(missing_ok=True)
    with SimulationDatabase(path, on_repeat="replace") as db:
        assert same(np.ascontiguousarray(array), round_trip(db, array)["data"])


def test_ragged_arrays_under_every_name_come_back_as_row_ptr(db):
    """Goal: the four names of the index are taken, and one is given back."""
    for timestamp, name in enumerate(["row_ptr", "indptr", "ind_ptr", "rowptr"]):
        data = np.array([[1, 2], [3, 4], [5, 6]], dtype=">f4")
        index = np.array([0, 2, 2, 3], dtype="u4")
        update = {"g": {"id": {"data": [7, 8, 9]}, "x": {"data": data, name: index}}}
        db.store_update(timestamp, 0, "d", update)
        back = db.get_dataset_updates("d")[-1]["g"]["x"]
        assert same(back["data"], data) and same(back["row_ptr"], index)
        assert set(back) == {"data", "row_ptr"}


def test_masks_and_masked_arrays(db, group):
    """Goal: what is not given keeps the earlier value, what is cleared becomes undefined, and both
    come back as they went in.
    """
    db.store_update(0, 0, "d", group(id=[1, 2, 3], x=[1.0, 2.0, 3.0], n=[1, 2, 3]))
    masked = np.ma.array([10.0, np.nan, 30.0], mask=[True, False, False])
    update = {
        "g": {
            "id": {"data": np.ma.array([1, 2, 3])},
            "x": {"data": masked},
            "n": {"data": [0, 0, 9], "mask": [False, True, False], "cleared": [True, False, False]},
        }
    }
    db.store_update(1, 0, "d", update)
    back = db.get_dataset_updates("d")[1]["g"]
    assert back["x"]["mask"].tolist() == [True, False, False] and "cleared" not in back["x"]
    assert back["n"]["mask"].tolist() == [False, True, False]
    assert back["n"]["cleared"].tolist() == [True, False, False]
    assert "mask" not in back["id"]
    state = db.state_at("d", "g", 1)
    assert state["x"]["data"][0] == 1.0 and np.isnan(state["x"]["data"][1])
    assert not state["x"].get("mask", np.False_).any()  # the NaN was given: with a mask it is itself
    assert state["n"]["mask"].tolist() == [True, False, False]
    assert state["n"]["data"][1:].tolist() == [2, 9]
    # What was read can be stored again.
    db.store_update(2, 0, "d", {"g": back})
    assert db.state_at("d", "g", 2)["n"]["mask"].tolist() == [True, False, False]


def test_lists_and_other_array_likes_are_taken(db, group):
    """Goal: whatever numpy makes an array of is stored as that array."""
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    columns = {
        "id": [1, 2],
        "text": ["a", "Zürich"],
        "bools": (True, False),
        "memory": memoryview(np.array([1.5, 2.5])),
        "pandas": pandas.Series([1, 2], dtype="int16"),
        "polars": polars.Series([1.0, 2.0]),
        "bare": range(2),
    }
    data = group(**columns)
    data["g"]["bare"] = np.arange(2)  # without a dict around it
    db.store_update(0, 0, "d", data)
    back = db.get_dataset_updates("d")[0]["g"]
    for name, values in columns.items():
        assert back[name]["data"].tolist() == np.asarray(values).tolist(), name
    assert list(back) == list(columns)


BAD = {
    "None among numbers": [1, None],
    "numbers beyond 64 bits": [2**70, 1],
    "objects": np.array([object(), 1], dtype=object),
    "ragged lists": [[1], [2, 3]],
    "a structure": np.zeros(2, dtype=[("a", "i4")]),
    "void": np.zeros(2, dtype="V3"),
    "long double": np.zeros(2, dtype="longdouble"),
    "long complex": np.zeros(2, dtype="clongdouble"),
    "a scalar": 1.5,
    "a masked part of a row": np.ma.array([[1, 2], [3, 4]], mask=[[True, False], [False, False]]),
    "another length": [1.0, 2.0, 3.0],
    "a text": "ab",
}


@pytest.mark.parametrize("what", BAD)
def test_values_that_cannot_be_stored_are_named(db, group, what):
    """Goal: a clear ValueError with dataset, group and attribute, and nothing stored."""
    if what.startswith("long ") and np.dtype("longdouble").itemsize == 8:
        pytest.skip("long double is a double here")
    with pytest.raises(ValueError, match="roads/g/x") as raised:
        db.store_update(0, 0, "roads", group(id=[1, 2], x=BAD[what]))
    assert isinstance(raised.value, InvalidError)
    assert db.get_update_count() == 0


BAD_PARTS = {
    "no data": {"row_ptr": [0, 1, 2]},
    "an unknown key": {"data": [1, 2], "row_pointer": [0, 1, 2]},
    "two indexes": {"data": [1, 2], "row_ptr": [0, 1, 2], "indptr": [0, 1, 2]},
    "an index that falls": {"data": [1, 2], "row_ptr": [0, 2, 1]},
    "an index that ends elsewhere": {"data": [1, 2], "row_ptr": [0, 1, 3]},
    "an index that starts elsewhere": {"data": [1, 2], "row_ptr": [1, 1, 2]},
    "an index of floats": {"data": [1, 2], "row_ptr": [0.0, 1.0, 2.0]},
    "a mask of integers": {"data": [1, 2], "mask": [0, 1]},
    "a mask of another length": {"data": [1, 2], "mask": [True]},
    "two masks of other lengths": {"data": [1, 2], "mask": [True, False], "cleared": [True]},
    "a mask in two dimensions": {"data": [1, 2], "mask": [[True, False]]},
    "a key that is no text": {1: [1, 2]},
}


@pytest.mark.parametrize("what", BAD_PARTS)
def test_parts_that_contradict_each_other_are_named(db, what):
    """Goal: nothing is dropped in silence: a misspelt key, a second index, a wrong mask."""
    with pytest.raises(ValueError, match="roads/g/x"):
        db.store_update(0, 0, "roads", {"g": {"id": {"data": [1, 2]}, "x": BAD_PARTS[what]}})
    assert db.get_update_count() == 0


@pytest.mark.parametrize("value", [1.5, 1.0, float("nan"), True, np.True_, "1", None, np.float32(1), [1]])
def test_timestamps_are_integers(db, value):
    """Goal: a float, a bool or a text is refused as timestamp and iteration, and as a place in time
    all but a text.
    """
    calls = [
        lambda: db.store_update(value, 0, "d", {}),
        lambda: db.store_update(0, value, "d", {}),
        lambda: db.submit_update(value, 0, "d", {}),
    ]
    if value != "1":
        calls += [
            lambda: db.state_at("d", "g", value),
            lambda: db.cursor("d", "g", value),
            lambda: db.resume_from(value),
        ]
    for call in calls:
        with pytest.raises(TypeError) as raised:
            call()
        assert isinstance(raised.value, InvalidTypeError) and isinstance(raised.value, ValueError)
    with pytest.raises(ValueError, match="64 bits"):
        db.store_update(2**63, 0, "d", {})


def test_numpy_integers_are_timestamps(db, group):
    """Goal: every numpy integer is the integer that it is, and is stored as one."""
    for i, kind in enumerate("bhilqBHILQ"):
        db.store_update(np.dtype(kind).type(i), np.int8(1), "d", group(id=[1]))
    assert db.get_timestamps("d") == list(range(10))
    types = db.sql('SELECT DISTINCT typeof(timestamp), typeof(iteration) FROM "update"').rows
    assert types == [("integer", "integer")]
    assert db.store_update(2**63 - 1, -(2**63), "d", {})
    with pytest.raises(InvalidError, match="initial state"):
        db.store_update(-1, 0, "d", {})


def test_arrays_of_one_read_share_pieces_and_never_overlap(db, group):
    """Goal: thousands of arrays of all sizes around the limits are right by bits, aligned, writeable,
    and changing each leaves every other as it was; the pieces are of 8 MiB at the most.
    """
    sizes = [0, 8, 4088, 4096, 4104, 8000, 100_000, 2**20 - 8, 2**20, 2**20 + 8, 3_000_000]
    random = np.random.default_rng(3)
    stored = []
    for t in range(120):
        x = random.random(sizes[t % len(sizes)] // 8)
        lines = {"data": random.random((2000, 2)), "row_ptr": np.array([0, 700, 2000])}
        mask = random.random(6000) < 0.5
        stored.append((x, lines["data"], mask))
        data = {
            "g": {"id": {"data": np.arange(len(x))}, "x": {"data": x}},
            "h": {"id": {"data": [1, 2]}, "lines": lines},
            "m": {"id": {"data": np.arange(6000)}, "x": {"data": np.arange(6000), "mask": mask}},
        }
        db.store_update(t, 0, "d", data)
    updates = db.get_dataset_updates("d")
    arrays, pieces = [], {}
    for update, (x, lines, mask) in zip(updates, stored, strict=True):
        assert same(update["g"]["x"]["data"], x) and same(update["h"]["lines"]["data"], lines)
        assert same(update["m"]["x"]["mask"], mask)
        for name in "ghm":
            for column in update[name].values():
                arrays += column.values()
    spans = []
    for array in arrays:
        assert array.flags.writeable and array.flags.c_contiguous and array.flags.aligned
        if 4096 <= array.nbytes <= 2**20:
            assert array.base.dtype == np.uint8 and array.ctypes.data % 64 == 0
            assert array.base.nbytes <= 2**23 + 2**21
            pieces[id(array.base)] = array.base
        if array.nbytes:
            spans.append((array.ctypes.data, array.ctypes.data + array.nbytes))
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    total = sum(a.nbytes for a in arrays if 4096 <= a.nbytes <= 2**20)
    assert 2 <= len(pieces) <= total // 2**22 + 2
    for i, array in enumerate(arrays):
        array.view(np.uint8)[...] = i % 251
    assert all((a.view(np.uint8) == i % 251).all() for i, a in enumerate(arrays))
    kept = arrays[2]
    before = kept.tobytes()
    del updates, arrays, array, pieces, update, column
    assert kept.tobytes() == before
    # A small read takes no more memory than it needs, and one by one each has its own.
    db.store_update(0, 0, "small", group(id=[1] * 1, x=np.zeros((1, 1000))))
    (update,) = db.get_dataset_updates("small")
    assert update["g"]["x"]["data"].base.nbytes < 2**14
    one, two = (u["g"]["id"]["data"] for u in db.iter_updates("d", 5, 6))
    assert not np.shares_memory(one, two) and one.base is not two.base


def test_the_collector_of_cycles_is_as_it_was(db, group):
    """Goal: a bulk read leaves Python's collector on if it was on, and off if it was off."""
    import gc

    db.store_updates([(t, 0, "d", group(id=[1])) for t in range(2000)])
    assert gc.isenabled() and len(db.get_dataset_updates("d")) == 2000 and gc.isenabled()
    gc.disable()
    try:
        assert len(db.get_dataset_updates("d")) == 2000 and not gc.isenabled()
    finally:
        gc.enable()


def test_series_and_objects_that_hold_only_text_are_text(db, group):
    """Goal: pandas' strings and object arrays of str are text of fixed width, kept by bits."""
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["a", "Zürich", ""])
    texts = {
        "str": series,
        "object": pandas.Series(["a", "Zürich", ""], dtype=object),
        "array": np.array(["a", "Zürich", ""], dtype=object),
        "str_": np.array([np.str_("a"), "Zürich", ""], dtype=object),
        "strided": np.array(["a", 1, "Zürich", 2, "", 3], dtype=object)[::2],
    }
    if hasattr(pandas, "StringDtype"):
        texts["StringDtype"] = pandas.Series(["a", "Zürich", ""], dtype="string")
    db.store_update(0, 0, "d", group(id=[1, 2, 3], **texts))
    back = db.get_dataset_updates("d")[0]["g"]
    for name in texts:
        assert same(back[name]["data"], np.array(["a", "Zürich", ""])), name
    table = np.array([["a", "b"], ["cc", "d"]], dtype=object)
    db.store_update(1, 0, "d", group(id=[1, 2], x=table))
    assert same(db.get_dataset_updates("d")[1]["g"]["x"]["data"], table.astype("U"))
    for bad in (["a", None], ["a", 1], [b"a", "b"], [["a"], "b"], ["a\0", "b"]):
        array = np.empty(2, dtype=object)
        array[:] = bad
        with pytest.raises(InvalidError, match="astype"):
            db.store_update(2, 0, "d", group(id=[1, 2], x=array))
    with pytest.raises(InvalidError, match="astype"):
        db.store_update(2, 0, "d", group(id=[1, 2], x=pandas.Series(["a", None])))


def test_an_empty_list_of_ids_is_of_integers(db, group):
    """Goal: a group of no entities may be written as one writes it."""
    db.store_update(0, 0, "d", group(id=[], x=[]))
    db.store_update(1, 0, "d", {"g": {"id": (), "x": []}})
    for update in db.get_dataset_updates("d"):
        ids = update["g"]["id"]["data"]
        assert ids.dtype == np.int64 and ids.shape == (0,)
    with pytest.raises(InvalidError):
        db.store_update(2, 0, "d", group(id=np.array([], dtype=float)))
