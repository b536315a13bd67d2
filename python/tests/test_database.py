"""The handle: what it stores, what it says of the run, how it ends."""

import asyncio
import json
import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import siltstone
from siltstone import errors
from siltstone.errors import BusyError, InvalidError, QueueFullError
from siltstone.simulation import DatasetFormat, DatasetFormat_, SimulationDatabase, get_simulation_results


def fill(db, count=5, dataset="roads"):
    for t in range(count):
        data = {"g": {"id": {"data": [1, 2]}, "x": {"data": np.array([t, -t], dtype="f4")}}}
        db.store_update(t * 10, 0, dataset, data, origin="model" if t % 2 else None)


def test_updates_come_back_as_documented(db):
    """Goal: names, order and shape of the documented calls."""
    fill(db)
    fill(db, 2, "a")
    assert db.get_datasets() == ["a", "roads"]
    assert db.get_timestamps("roads") == [0, 10, 20, 30, 40]
    assert db.get_timestamps("nothing") == [] and db.get_dataset_updates("nothing") == []
    assert (db.get_update_count(), db.get_update_count(""), db.get_update_count("a")) == (7, 7, 2)
    updates = db.get_dataset_updates("roads")
    assert [list(u) for u in updates[:2]] == [
        ["timestamp", "iteration", "g"],
        ["timestamp", "iteration", "origin", "g"],
    ]
    assert updates[3]["timestamp"] == 30 and updates[3]["g"]["x"]["data"].tolist() == [3, -3]
    assert db.get_groups("roads") == ["g"]


def test_updates_can_be_stored_in_any_form(db, path):
    """Goal: tuples, dicts, and updates as they were read, in one transaction, origin kept."""
    group = {"g": {"id": {"data": [1]}, "x": {"data": [1.0]}}}
    ids = db.store_updates(
        [
            (0, 0, "a", group),
            (1, 0, "a", group, "tuple"),
            {
                "timestamp": 2,
                "iteration": 0,
                "dataset_name": "a",
                "entity_data": group,
                "origin": "d",
            },
            {"timestamp": 3, "iteration": 0, "dataset_name": "a", "origin": "flat", **group},
            {
                "timestamp": 4,
                "iteration": 0,
                "dataset_name": "a",
                "entity_data": {**group, "origin": "in"},
            },
        ]
    )
    assert len(set(ids)) == 5
    origins = [u.get("origin") for u in db.get_dataset_updates("a")]
    assert origins == [None, "tuple", "d", "flat", "in"]
    # The pattern of the description: copy from one database to another.
    with SimulationDatabase(path.with_name("copy.db")) as copy:
        for update in db.get_dataset_updates("a"):
            data = {k: v for k, v in update.items() if k not in ["timestamp", "iteration"]}
            copy.store_update(update["timestamp"], update["iteration"], "a", data)
        assert [u.get("origin") for u in copy.get_dataset_updates("a")] == origins


def test_a_batch_is_all_or_nothing(db):
    """Goal: the second of two equal updates takes the first with it; a bad form is named."""
    with pytest.raises(errors.ExistsError):
        db.store_updates([(0, 0, "a", {}), (0, 0, "a", {})])
    assert db.get_update_count() == 0
    for bad in [(0, 0, "a"), {"timestamp": 0}, 7, "update", (0, 0, "a", {}, 5), (0, 0, 1, {})]:
        with pytest.raises(ValueError):
            db.store_updates([bad])
    with pytest.raises(TypeError):
        db.store_updates(None)


def test_a_repeated_update_is_refused_or_replaced(path):
    """Goal: a typed error whose text names the update; `replace` takes the new one."""
    with SimulationDatabase(path) as db:
        fill(db, 1)
        with pytest.raises(errors.ExistsError, match='timestamp 0, iteration 0 of dataset "roads"'):
            fill(db, 1)
    with SimulationDatabase(path.with_name("b.db"), on_repeat="replace") as db:
        fill(db, 1)
        fill(db, 1)
        assert db.get_update_count() == 1


def test_iter_updates_takes_both_ends(db):
    """Goal: `start` and `stop` are included, and a long run is read in pieces in order."""
    group = {"g": {"id": {"data": [1]}}}
    db.store_updates([(t, i, "a", group) for t in range(200) for i in range(2)])
    times = [(u["timestamp"], u["iteration"]) for u in db.iter_updates("a", 10, 150)]
    assert times == [(t, i) for t in range(10, 151) for i in range(2)]
    assert sum(1 for _ in db.iter_updates("a")) == 400
    assert list(db.iter_updates("a", 500)) == [] and list(db.iter_updates("b")) == []


def test_states_and_cursor_travel(db):
    """Goal: the state at any time, forwards and backwards, is what the updates left."""
    fill(db)
    assert db.state_at("roads", "g", 25)["x"]["data"].tolist() == [2, -2]
    assert db.state_at("roads", "g", -1)["x"]["mask"].tolist() == [True, True]
    cursor = db.cursor("roads", "g")
    assert cursor.timestamp == -1
    assert [s.timestamp for s in cursor] == [0, 10, 20, 30, 40]
    assert cursor.next() is None
    assert cursor.previous()["x"]["data"].tolist() == [3, -3]
    assert cursor.move_to(11).timestamp == 11 and cursor.timestamp == 11
    assert cursor.move_to(0).ids.tolist() == [1, 2]
    assert cursor.previous()["x"]["mask"].all() and cursor.previous() is None
    with pytest.raises(KeyError) as raised:
        db.state_at("roads", "h", 0)
    assert str(raised.value).startswith('entity group "roads/h" is not in')


def test_numbers_of_initial_datasets_are_kept(db, tmp_path):
    """Goal: NaN and infinities of initial data and their metadata, given as a dict and as a file that Python wrote."""
    inf, nan = math.inf, math.nan
    given = {
        "name": "d",
        "limit": -inf,
        "general": {"special": {"g.x": nan}},
        "big": 2**70,
        "rows": np.array([1.0, nan]),
        "data": {"g": {"id": [1, 2, 3], "x": [nan, inf, 1.5]}},
    }
    db.store_initial_dataset("d", given)
    kept = db.get_initial_dataset("d")
    assert str(kept["general"]) == "{'special': {'g.x': nan}}" and (kept["limit"], kept["big"]) == (-inf, 2**70)
    assert kept["rows"] == [1.0, None] and kept["data"]["g"]["x"] == [None, inf, 1.5]
    (tmp_path / "init").mkdir()
    (tmp_path / "init" / "e.json").write_text(json.dumps({**given, "name": "e", "rows": [1.0, nan]}))
    report = db.import_json(init_dir=tmp_path / "init")
    assert (report.initial_datasets, report.skipped) == (1, [])
    assert db.import_json(init_dir=tmp_path / "init").conflicts == []
    for name in "de":
        assert str(db.state_at(name, "g", -1)["x"]["data"].tolist()) == "[nan, inf, 1.5]"
        with get_simulation_results(updates_path=db.path) as results:
            dataset = results.get_dataset(name)
            assert (dataset.metadata["limit"], dataset.metadata["big"]) == (-inf, 2**70)
            assert [str(a.special) for a in dataset.attributes("g") if a.name == "x"] == ["nan"]
    with pytest.raises(InvalidError, match="JSON"):
        db.store_initial_dataset("f", b'{"x": Nan}', "unstructured")


def test_initial_datasets_are_kept(db):
    """Goal: each format comes back as it went in; names, all of them, and replacing."""
    assert not db.has_initial_datasets() and db.get_initial_dataset("a") is None
    plain = {"name": "a", "data": {"g": {"id": [1], "x": [None]}}, "ü": [1.5, True]}
    db.store_initial_dataset("a", plain)
    db.store_initial_dataset("b", b"\x00\xff")
    db.store_initial_dataset("c", {"g": {"id": {"data": [1]}, "x": {"data": [2.5]}}}, DatasetFormat.ENTITY_BASED)
    db.store_initial_dataset("d", b'{"x": 1}', "unstructured")
    db.store_initial_dataset("e", {"v": np.array([1.0, np.nan]), "i": np.int64(3), "f": float("inf")})
    assert db.get_initial_datasets() == list("abcde")
    every = db.get_all_initial_datasets()
    assert every["a"] == plain and every["b"] == b"\x00\xff" and every["d"] == {"x": 1}
    assert every["c"]["g"]["x"]["data"].tolist() == [2.5]
    assert every["e"] == {"v": [1.0, None], "i": 3, "f": math.inf}
    assert db.has_initial_datasets() and DatasetFormat_ is DatasetFormat
    with pytest.raises(errors.ExistsError):
        db.store_initial_dataset("a", {})
    db.store_initial_dataset("a", {}, replace=True)
    assert db.get_initial_dataset("a") == {}
    with pytest.raises(TypeError):
        db.store_initial_dataset("f", {"x": 1}, DatasetFormat.BINARY)
    with pytest.raises(TypeError):
        db.store_initial_dataset("f", {"x": object()})
    with pytest.raises(ValueError):
        db.store_initial_dataset("f", b"no json", DatasetFormat.UNSTRUCTURED)
    with pytest.raises(ValueError):
        db.store_initial_dataset("f", {}, "xml")


def test_a_run_tells_how_it_ended(path):
    """Goal: complete after a clean end, failed with the text of an exception, running when killed;
    looking at a run changes nothing.
    """
    db = SimulationDatabase(path)
    assert db.status == "unknown"
    fill(db, 1)
    assert db.status == "running" and db.run.started_ns > 0
    db.close()
    with SimulationDatabase(path) as db:
        assert db.status == "complete" and db.run.finished_ns >= db.run.started_ns
    with pytest.raises(ZeroDivisionError), SimulationDatabase(path) as db:
        1 / 0
    with SimulationDatabase(path, read_only=True) as db:
        assert db.status == "complete"  # the handle that failed had written nothing
    with pytest.raises(ZeroDivisionError), SimulationDatabase(path) as db:
        fill(db, 1, "other")
        1 / 0
    with SimulationDatabase(path, read_only=True) as db:
        assert db.run.status == "failed" and db.run.error == "ZeroDivisionError: division by zero"
    with SimulationDatabase(path) as db:
        fill(db, 1, "third")
        db.mark_failed("I say so")
        assert db.status == "failed"
        db.mark_complete()
        assert db.status == "complete"


def test_a_closed_handle_says_so(path):
    """Goal: no call of a closed handle reaches the file; closing twice is fine."""
    db = SimulationDatabase(path)
    fill(db, 1)
    cursor = db.cursor("roads", "g")
    db.close()
    db.close()
    assert db.closed and "closed" in repr(db) and "closed" in db._repr_html_()
    for call in (db.get_datasets, db.flush, db.verify, lambda: fill(db, 1), lambda: db.status):
        with pytest.raises(errors.ClosedError, match="is closed"):
            call()
    assert cursor.move_to(0).timestamp == 0  # it has a hold of its own


def test_read_only_creates_and_changes_nothing(path):
    """Goal: a wrong path stays wrong, and a reader cannot write."""
    with pytest.raises(errors.NotFoundError):
        SimulationDatabase(path, read_only=True)
    assert not path.exists()
    with SimulationDatabase(path) as db:
        fill(db, 1)
    before = path.read_bytes()
    with SimulationDatabase(path, read_only=True) as db:
        assert db.read_only and db.get_update_count() == 1
        with pytest.raises(errors.SiltstoneError, match="reading only"):
            fill(db, 1, "x")
        db.flush()
    assert path.read_bytes() == before


def test_resume_from_removes_what_is_later(db):
    """Goal: a restart from a checkpoint finds only what was before it."""
    fill(db)
    assert db.resume_from(20) == 2
    assert db.get_timestamps("roads") == [0, 10, 20]
    assert db.state_at("roads", "g", 100)["x"]["data"].tolist() == [2, -2]


@pytest.mark.parametrize("durability", ["os", "disk", "buffered"])
@pytest.mark.parametrize("codec", ["raw", "zstd", "lz4", "pco", "auto"])
def test_every_durability_and_codec(path, durability, codec):
    """Goal: the same numbers come back; buffered errors are raised by flush."""
    x = np.linspace(0, 1, 500)
    with SimulationDatabase(path, durability=durability, codec=codec) as db:
        assert db.durability == durability
        for t in range(3):
            db.store_update(t, 0, "a", {"g": {"id": {"data": np.arange(500)}, "x": {"data": x + t}}})
        if durability == "buffered":
            db.store_update(0, 0, "a", {})
            with pytest.raises(errors.ExistsError):
                db.flush()
    with SimulationDatabase(path, read_only=True) as db:
        back = db.get_dataset_updates("a")
        assert all((u["g"]["x"]["data"] == x + u["timestamp"]).all() for u in back) and len(back) == 3
        assert db.verify().ok


def test_unknown_options_are_named(path):
    """Goal: a misspelt option is an error that lists what there is, and creates no file."""
    for option in ("durability", "codec", "on_repeat", "profile"):
        with pytest.raises(ValueError, match="xyz"):
            SimulationDatabase(path, **{option: "xyz"})
    assert not path.exists()


def test_tickets_give_ids_and_errors(db):
    """Goal: a ticket answers as often as it is asked, with the id or with the error."""
    group = {"g": {"id": {"data": [1]}}}
    tickets = [db.submit_update(t, 0, "a", group) for t in range(50)]
    again = db.submit_update(0, 0, "a", group)
    assert len({ticket.wait() for ticket in tickets}) == 50
    assert tickets[0].done() and tickets[0].wait(0) == tickets[0].wait()
    for _ in range(2):
        with pytest.raises(errors.ExistsError):
            again.wait()
    with pytest.raises(ValueError):
        db.submit_update(0, 0, "a", {"g": {"id": {"data": [1, 1]}}})

    async def run():
        tickets = [db.submit_update(t, 1, "a", group) for t in range(20)]
        ids = await asyncio.gather(*tickets)
        with pytest.raises(errors.ExistsError):
            await db.submit_update(0, 0, "a", group)
        return ids

    assert len(set(asyncio.run(run()))) == 20


def test_verify_backup_restore(db, path):
    """Goal: a backup of the live file is the same record; damage is found and not restored."""
    fill(db)
    seen = []
    report = db.backup(path.with_name("copy.db"), progress=lambda done, all: seen.append((done, all)))
    assert report.rows["update"] == 5 and seen and seen[-1][0] == seen[-1][1]
    with pytest.raises(errors.ExistsError):
        db.backup(path.with_name("copy.db"))
    with SimulationDatabase(path.with_name("copy.db")) as copy:
        assert copy.verify().ok and copy.get_update_count() == 5
    with pytest.raises(errors.ExistsError):
        siltstone.restore(path.with_name("copy.db"), path)
    fill(db, 1, "later")
    assert siltstone.restore(path.with_name("copy.db"), path, overwrite=True).rows["update"] == 5
    assert db.get_datasets() == ["roads"]
    assert len(db.backup_into(path.with_name("backups"), keep=1).removed) == 0
    assert len(db.backup_into(path.with_name("backups"), keep=1).removed) == 1

    def stop(done, all):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        db.backup(path.with_name("never.db"), progress=stop)
    assert not path.with_name("never.db").exists()


def test_damage_is_a_finding(path):
    """Goal: one flipped byte of an array is found by verify and refused by a read."""
    with SimulationDatabase(path) as db:
        fill(db, 2)
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE numpy_array SET data = x'0000803f00008040' WHERE dtype = '<f4' AND id > 2")
    conn.close()
    with SimulationDatabase(path) as db:
        assert not db.verify().ok and "numpy_array" in db.verify().findings[0][0]
        with pytest.raises(errors.CorruptError):
            db.get_dataset_updates("roads")


def test_foreign_files_are_left_alone(tmp_path):
    """Goal: another program's file is refused in a sentence and keeps its bytes."""
    text = tmp_path / "notes.db"
    text.write_text("shopping list, and more than sixteen bytes of it\n" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as conn:
        conn.execute("CREATE TABLE recipes (id INTEGER)")
    conn.close()
    for path in (text, other):
        before = path.read_bytes()
        for read_only in (False, True):
            with pytest.raises(errors.NotOursError, match="left as it is"):
                SimulationDatabase(path, read_only=read_only)
        assert path.read_bytes() == before
    with pytest.raises(errors.SiltstoneError):
        SimulationDatabase(tmp_path)  # a folder


def test_compatible_names_do_nothing_bad(db):
    """Goal: the calls that movici needs are there."""
    assert db.get_metadata() is None
    db.initialize()
    db.ensure_metadata()
    fill(db, 1)
    assert db.get_metadata() == (1, "v1")
    assert db.path == db.db_path and db.path.name == "run.db"
    assert db.stats()["jobs_committed"] >= 1


def test_the_tree_of_errors():
    """Goal: one base for all, and the built-in class that a caller would expect."""
    expected = {
        "InvalidError": ValueError,
        "InvalidTypeError": TypeError,
        "NotFoundError": LookupError,
        "ExistsError": FileExistsError,
        "BusyError": TimeoutError,
        "StorageError": OSError,
    }
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.SiltstoneError)
    for name, base in expected.items():
        assert issubclass(getattr(errors, name), base)
        assert str(getattr(errors, name)("a whole sentence")) == "a whole sentence"


def test_a_full_queue_refuses_as_asked_and_another_process_is_waited_for_as_long_as_asked(tmp_path):
    """Goal: queue, policy and time-out of the caller hold, and what was accepted is stored."""
    path = tmp_path / "run.db"
    options = {"queue_jobs": 4, "queue_policy": "refuse", "busy_timeout": 0.3}
    with SimulationDatabase(path, **options) as db:
        db.store_update(0, 0, "d", {"g": {"id": {"data": [1]}}})
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError):
            db.store_update(1, 0, "d", {"g": {"id": {"data": [1]}}})
        tickets = []
        with pytest.raises(QueueFullError):
            for t in range(2, 100):
                tickets.append(db.submit_update(t, 0, "d", {"g": {"id": {"data": [1]}}}))
        other.execute("ROLLBACK")
        assert len(tickets) >= 4
        stored = 1
        for ticket in tickets:
            try:
                ticket.wait()
                stored += 1
            except BusyError:
                pass  # its turn came while the other connection wrote
        assert db.get_update_count() == stored
    for wrong in ({"queue_policy": "drop"}, {"busy_timeout": -1.0}, {"busy_timeout": float("nan")}):
        with pytest.raises(InvalidError):
            SimulationDatabase(tmp_path / "other.db", **wrong)


def test_an_import_names_what_differs_from_the_database(tmp_path):
    """Goal: content that changed since it was imported is reported, and what is stored stays."""
    updates = tmp_path / "updates"
    updates.mkdir()
    file = updates / "t0_0_d.json"
    file.write_text('{"d": {"g": {"id": [1], "x": [1.0]}}}')
    with SimulationDatabase(tmp_path / "run.db") as db:
        assert db.import_json(None, updates).updates == 1
        assert db.import_json(None, updates).unchanged == 1
        file.write_text('{"d": {"g": {"id": [1], "x": [2.0]}}}')
        report = db.import_json(None, updates)
        assert (report.updates, report.unchanged, len(report.conflicts)) == (0, 0, 1)
        path, what, why = report.conflicts[0]
        assert Path(path) == file and "timestamp 0" in what and "x" in why
        assert db.state_at("d", "g", 0)["x"]["data"].tolist() == [1.0]
