"""One handle on a file, or on a folder of ticks."""

import copy
import json
import pickle
import subprocess

import numpy as np
import pandas as pd
import pytest

import siltstone
from siltstone import errors, experiment, memory, simulation
from siltstone.ticks import TickStore, TickStoreConfig

NOON = 1_768_824_000_000_000_000
DAY = 86_400_000_000_000


def groups(level):
    return {"tanks": {"id": {"data": list(range(200))}, "level": {"data": [level * n for n in range(200)]}}}


def test_one_handle_reaches_all_stores_of_a_file(tmp_path):
    """Goal: each store by its name, all on one file; what is there, SQL, a check, a copy, and packing."""
    path = tmp_path / "run.db"
    with siltstone.open(path) as db:
        for step in range(40):
            db.simulation.store_update(step, 0, "plant", groups(float(step)))
        with db.experiment("e").create_simulation_context("s", {"rate": 0.5}) as sim:
            sim.log_step(0, metrics={"total_agents": 3})
        assert db.experiment("e") is db.experiment("e")
        db.memory.store_episode([1, 2], 0.5, "maze", embedding=np.array([1.0, 0.0]))
        db.series.save(pd.Series([1.5, 1.6], pd.date_range("2026-01-01", periods=2, tz="UTC")), "flow")
        info = db.info()
        assert info["datasets"][0]["updates"] == 40
        assert (info["experiments"]["simulations"], info["memory"]["episodes"]) == ({"completed": 1}, 1)
        assert info["series"]["points"] == 2
        assert db.sql("SELECT count(*) AS n FROM episodes").rows == [(1,)]
        done = db.compact()
        assert done.rows > 40 and done.blocks > 2 and done.bytes_before > 0
        assert db.verify().ok
        assert db.backup(tmp_path / "copy.db") > 0
        with pytest.raises(errors.ExistsError):
            db.backup(tmp_path / "copy.db")
        with pytest.raises(errors.InvalidError, match="path: expected a folder of ticks"):
            _ = db.ticks
    with pytest.raises(errors.ClosedError):
        db.sql("SELECT 1")
    for use in [lambda: db.experiment("e"), lambda: db.simulation, lambda: db.series, db.info, db.__enter__]:
        with pytest.raises(errors.ClosedError):
            use()
    db.close()
    with siltstone.open(tmp_path / "copy.db", read_only=True) as copy:
        assert copy.info()["run"]["status"] == "running"
        assert copy.series.load("flow")[0].tolist() == [1.5, 1.6]
        assert copy.memory.retrieve_episode(1).data == [1, 2]
        with pytest.raises(errors.SiltstoneError):
            copy.series.save(pd.Series([1.0]), "flow")
        with pytest.raises(errors.SiltstoneError):
            copy.simulation.store_update(50, 0, "plant", groups(1.0))
    # No backup was made beside the files; `sim` may hold the log of one.
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} == {"copy.db", "run.db"}


def test_an_exception_marks_the_run_as_failed(tmp_path):
    """Goal: leaving the handle by an exception says so in the run; a run that ends is complete."""
    for name, fails in [("bad.db", True), ("good.db", False)]:
        try:
            with siltstone.open(tmp_path / name) as db:
                db.simulation.store_update(0, 0, "plant", groups(1.0))
                if fails:
                    raise RuntimeError("out of water")
        except RuntimeError:
            pass
        run = siltstone.open(tmp_path / name, read_only=True).info()["run"]
        assert (run["status"], "out of water" in (run["error"] or "")) == (
            ("failed", True) if fails else ("complete", False)
        )


def test_a_folder_of_ticks_is_opened_the_same_way(tmp_path):
    """Goal: SQL over all days, in rows and blocks; what is stored through the handle is seen by it."""
    base = tmp_path / "ticks"
    with TickStore(TickStoreConfig.production("b", sqlite_base_path=base)) as store:
        for day in range(3):
            for n in range(10):
                store.store_tick("EURUSD", 1.0 + n, 2.0 + n, time=NOON + day * DAY + n)
    with siltstone.open(base) as db:
        assert (db.info()["ticks"], len(db.info()["days"])) == (30, 3)
        sql = f"SELECT count(*), sum(bid) FROM ticks WHERE symbol = 'EURUSD' AND time_ns < {NOON + DAY}"
        assert db.sql(sql).rows == [(10, 55.0)]
        assert db.compact()[:2] == (30, 3)
        assert db.sql(sql).rows == [(10, 55.0)]
        frame = pd.DataFrame(db.sql("SELECT symbol, bid FROM ticks ORDER BY time_ns"))
        assert (list(frame.columns), len(frame)) == (["symbol", "bid"], 30)
        db.ticks.store_tick("USDJPY", 1.0, 2.0, time=NOON)
        db.ticks.flush()
        assert db.sql("SELECT broker_id FROM ticks WHERE symbol = 'USDJPY'").rows == [("siltstone",)]
        assert db.verify().ok
        db.backup(tmp_path / "copy")
        for name in ["simulation", "memory", "series"]:
            with pytest.raises(errors.InvalidError, match="path: expected a file"):
                getattr(db, name)
    again = siltstone.open(tmp_path / "copy", read_only=True)
    assert again.info()["symbols"] == ["EURUSD", "USDJPY"]
    assert again.ticks.last("USDJPY").bid == 1.0
    for store in (
        lambda: again.ticks.store_tick("A", 1.0, 2.0),
        lambda: again.ticks.store_ticks("A", [1], [1.0], [2.0]),
    ):
        with pytest.raises(errors.ClosedError, match="opened for reading only"):
            store()
    again.close()


def test_frames_round_no_integer(tmp_path):
    """Goal: an integer that a float cannot hold comes to pandas as it is, beside NULL and beside floats."""
    big = 2**53 + 1
    with siltstone.open(tmp_path / "a.db") as db:
        for sql, dtype in [
            (f"SELECT {big} AS n UNION ALL SELECT NULL", "Int64"),
            (f"SELECT {big} AS n UNION ALL SELECT 0.5", "object"),
            (f"SELECT {big} AS n UNION ALL SELECT 1", "int64"),
            ("SELECT 1 AS n UNION ALL SELECT NULL", "float64"),
        ]:
            frame = db.sql(sql).to_pandas()
            assert (str(frame["n"].dtype), int(frame["n"][0])) == (dtype, int(sql.split()[1])), sql
        for n, seed in enumerate([big, None]):
            with db.experiment("e").create_simulation_context(f"s{n}", {"seed": seed} if seed else {}):
                pass
        frame = db.experiment("e").parameters().to_pandas()
        assert frame["seed"].dropna().tolist() == [big]


def test_a_path_that_is_neither_is_refused(tmp_path):
    """Goal: a folder of other files, and a missing file, are errors; an empty folder is a new one of ticks."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for read_only in [False, True]:
        with pytest.raises(errors.InvalidError, match="days of ticks"):
            siltstone.open(tmp_path / "notes", read_only=read_only)
    with pytest.raises(errors.NotFoundError):
        siltstone.open(tmp_path / "none.db", read_only=True)
    (tmp_path / "new").mkdir()
    with siltstone.open(tmp_path / "new") as db:
        assert db.info()["ticks"] == 0


def test_a_handle_is_not_for_another_process(tmp_path):
    """Goal: a pickle or a copy of an open handle of any store is refused in a sentence that names the handle."""
    with (
        siltstone.open(tmp_path / "a.db") as db,
        TickStore(TickStoreConfig.production("b", sqlite_base_path=tmp_path / "t")) as ticks,
        simulation.DataCollector({"database_path": tmp_path / "c.db"}) as collector,
        experiment.InMemorySimulationDatabase(simulation_id="m") as kept,
    ):
        sweep = db.experiment("e")
        sim = sweep.create_simulation_context("s")
        for handle in [db, db.simulation, sweep, sim, db.memory, ticks, collector, kept]:
            for take in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(
                    errors.InvalidTypeError, match="^pickle: expected .*, got the open handle"
                ) as raised:
                    take(handle)
                assert repr(handle) in str(raised.value)


def test_an_error_within_a_block_is_raised_and_that_of_closing_is_noted(tmp_path, monkeypatch):
    """Goal: in every store what ends a block is raised, what closing says is a note of it, or an error alone."""

    def fails(self, *_):
        raise errors.StorageError("no room")

    for kind, end in [
        (lambda: simulation.SimulationDatabase(tmp_path / "a.db"), "_leave"),
        (lambda: experiment.ExperimentDatabase(tmp_path / "b.db"), "close"),
        (lambda: memory.SQLiteStorage(tmp_path / "c.db"), "close"),
        (lambda: TickStore(TickStoreConfig.production("b", sqlite_base_path=tmp_path / "t")), "stop"),
        (lambda: siltstone.open(tmp_path / "d.db"), "_leave"),
    ]:
        handle = kind()
        with monkeypatch.context() as patch:
            patch.setattr(type(handle), end, fails)
            with pytest.raises(ZeroDivisionError) as raised, handle:
                1 / 0
            if hasattr(raised.value, "add_note"):
                assert any("no room" in note for note in raised.value.__notes__)
            with pytest.raises(errors.StorageError, match="no room"), handle:
                pass


def test_a_path_of_another_type_is_named():
    """Goal: the argument, what was expected and what came; no other argument."""
    for wrong in (123, None, b"a.db"):
        with pytest.raises(errors.InvalidTypeError, match=f"^path: expected a text or a path, got {wrong!r}"):
            siltstone.open(wrong)


def test_info_is_what_the_command_prints(tmp_path, silt):
    """Goal: one answer in both."""
    path = tmp_path / "run.db"
    with siltstone.open(path) as db:
        db.simulation.store_update(0, 0, "plant", groups(1.0))
    printed = subprocess.run([silt, "info", str(path), "--json"], capture_output=True, check=True, text=True)
    assert json.loads(printed.stdout) == siltstone.open(path, read_only=True).info()
