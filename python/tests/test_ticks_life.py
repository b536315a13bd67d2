"""The life of a tick store in Python: old days, stopping, forks, real files."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import siltstone
from siltstone.errors import ClosedError, InvalidError, NotFoundError
from siltstone.ticks import TickStore, TickStoreConfig, doctor, import_ticks


def bits(values):
    return np.asarray(values, dtype=np.float64).view(np.uint64).tolist()


# -- old days ----------------------------------------------------------------------------------------


def test_compacted_days_are_read_and_written_as_before(store, base):
    """Goal: smaller, the same bits, late ticks in their place; the doctor is content."""
    n = 5_000
    for i in range(n):
        bid = (108_500 + i % 7) / 1e5
        store.store_tick("A", bid, bid + 0.0002, 0.0002, "YOFX", i * 1_000_000)
    store.flush()
    before = store.get_ticks_in_range("A")
    (compacted,) = store.compact("1970-01-01")
    assert (compacted.rows, compacted.blocks) == (n, 1) and compacted.bytes_after < compacted.bytes_before
    assert compacted.path == base / "1970/01/ticks_1970-01-01.db"
    after = store.get_ticks_in_range("A")
    assert list(before) == list(after) and bits(before.ask) == bits(after.ask)
    store.store_tick("A", 1.0, 2.0, 1.0, "LATE", 42)
    assert store.get_ticks_in_range("A", 0, 1_000_000).lp.tolist() == ["YOFX", "LATE", "YOFX"]
    store.flush()
    (day,) = store.days()
    assert (day.day, day.rows, day.compacted, day.symbols) == ("1970-01-01", 1, n, 1)
    assert len(store.compact("all")) == 1 and store.compact() == []
    with pytest.raises(NotFoundError):
        store.compact("1999-01-01")
    with pytest.raises(InvalidError):
        store.compact("yesterday")
    (kept,) = store.retain(delete_after_days=180, dry_run=True)
    assert (kept.action, kept.removed) == ("delete", n + 1) and len(store.get_ticks_in_range("A"))
    assert store.retain(thin_after_days=1, keep_one_of=10)[0].action == "thin"
    store.stop()
    report = doctor(base)
    assert report.ok and report.files == 1 and report.ticks < n
    with TickStore.open_read_only(base) as reader:
        assert len(reader.get_ticks_in_range("A")) == report.ticks
        with pytest.raises(ClosedError):
            reader.store_tick("A", 1.0, 1.0, 0.0, "", 0)


def test_the_doctor_finds_what_is_wrong(store, base):
    """Goal: a damaged file is a finding, a missing folder an error."""
    store.store_ticks("A", np.arange(5_000), np.ones(5_000), np.ones(5_000))
    store.stop()
    (base / "1970/01/ticks_1970-01-02.db").write_bytes(b"no database at all" * 100)
    report = doctor(base)
    assert not report.ok and "ticks_1970-01-02.db" in report.findings[0][0]
    with pytest.raises(NotFoundError):
        doctor(base / "none")
    with pytest.raises(NotFoundError):
        TickStore.open_read_only(base / "none")


# -- life --------------------------------------------------------------------------------------------


def test_a_stopped_store_is_read_and_not_written(store):
    """Goal: stopping drains, is repeated without harm, and says so to who stores a tick."""
    store.store_tick("A", 1.0, 1.0, 0.0, "", 0)
    assert store.stop().written == 1 and store.stop().written == 1
    assert len(store.get_recent_ticks("A")) == 1
    with pytest.raises(ClosedError, match="stopped"):
        store.store_tick("A", 1.0, 1.0, 0.0, "", 0)
    with pytest.raises(ClosedError):
        store.store_ticks("A", [1], [1.0], [1.0])


def test_configurations_that_contradict_themselves_are_refused(tmp_path):
    """Goal: each is an error that names the field."""
    for field, bad in {
        "backend": "postgres",
        "queue_full": "explode",
        "durability": "hope",
        "duplicates": "some",
        "throttle": "much",
        "queue_size": 0,
        "flush_interval": -1.0,
        "broker_id": "",
        "utc_offset_s": 7,
    }.items():
        options = {"broker_id": "B", "sqlite_base_path": tmp_path, field: bad}
        with pytest.raises(InvalidError):
            TickStore(TickStoreConfig.production(options.pop("broker_id"), **options))
    with pytest.raises(TypeError):
        TickStore(TickStoreConfig("B"), 5)


def test_a_subclass_is_asked(base):
    """Goal: the short way past Python is not taken where somebody wants to see each tick."""

    class Mine(TickStore):
        def store_tick(self, *tick):
            self.seen = tick
            return super().store_tick(*tick)

    with Mine(TickStoreConfig.production("B", sqlite_base_path=base)) as store:
        assert store.store_tick("A", 1.0, 1.0, 0.0, "", 0) == "stored" and store.seen[0] == "A"


def run(code, *arguments):
    """A Python of its own; what it printed."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_end_of_the_interpreter_writes_what_waits(base):
    """Goal: a script that forgets to stop its store loses nothing."""
    code = """
        import ctypes, sys
        from siltstone.ticks import TickStore, TickStoreConfig
        store = TickStore(TickStoreConfig.production("B", sqlite_base_path=sys.argv[1]))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(store._inner))  # so that it is never let go
        for n in range(700):  # a full batch, and some that wait
            store.store_tick("A", 1.0, 1.0, 0.0, "", n)
    """
    run(code, base)
    with TickStore.open_read_only(base) as store:
        assert len(store.get_ticks_in_range("A")) == 700


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_is_told_to_open_a_store_of_its_own(base):
    """Goal: the child gets an error, does not hang, and ends; the parent goes on."""
    code = """
        import gc, os, sys
        from siltstone.errors import ClosedError
        from siltstone.ticks import TickStore, TickStoreConfig
        store = TickStore(TickStoreConfig.production("B", sqlite_base_path=sys.argv[1]))
        store.store_tick("A", 1.0, 1.0, 0.0, "", 0)
        child = os.fork()
        if child == 0:
            for call in (lambda: store.store_tick("A", 1.0, 1.0), store.flush, store.symbols, store.stop):
                try:
                    call()
                    os._exit(3)
                except ClosedError:
                    pass
            del store, call
            gc.collect()
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), store.stop().written)
    """
    assert run(code, base).split() == ["7", "1"]


# -- real files --------------------------------------------------------------------------------------


def test_the_real_files_have_their_facts(shared, tmp_path):
    """Goal: an import of the recorded ticks has each count, time, source and sum, before and after."""
    import json
    from decimal import Decimal

    folder = shared / "data" / "ticks"
    if not folder.is_dir():
        pytest.skip("no recorded ticks")
    facts = json.loads((folder / "expected.json").read_text())["files"]
    told = []
    report = import_ticks(folder, tmp_path / "db", progress=lambda *n: told.append(n))
    assert report.ok and report.ticks_migrated == sum(fact["count"] for fact in facts.values())
    (day,) = report.days
    assert (day.rows, day.compacted) == (report.ticks_migrated, 0)
    assert told[-1] == (len(facts), len(facts))
    again = import_ticks(folder, tmp_path / "db")
    assert (again.ticks_migrated, again.ticks_skipped) == (0, report.ticks_read)
    with TickStore.open_read_only(tmp_path / "db") as store:
        for name, fact in facts.items():
            ticks = store.get_ticks_in_range(name.split("/")[0])
            assert len(ticks) == fact["count"]
            assert (ticks.time_ns[0], ticks.time_ns[-1]) == (fact["min_ts_ns"], fact["max_ts_ns"])
            assert len(np.unique(ticks.time_ns)) == fact["distinct_symbol_ns"]
            sources = dict(zip(*np.unique(ticks.lp.astype(str), return_counts=True), strict=True))
            assert sources == fact["lp"]
            total = sum(Decimal(repr(bid)) for bid in ticks.bid.tolist())
            assert abs(total - Decimal(fact["sum_bid"])) < Decimal("1e-9")
        assert store.symbols() == sorted(name.split("/")[0] for name in facts)
    assert doctor(tmp_path / "db").ok


def test_what_is_compacted_is_refused_by_sqlite_alone_until_it_is_expanded(tmp_path):
    """Goal: SQLite alone answers the engine's own check of a day in rows, and refuses one with blocks."""
    tick = '{"broker_id":"b","symbol":"A","bid":1.5,"ask":1.6,"spread":0.1,"timestamp":"2026-01-19T10:00:00Z","lp":"x"}'
    (tmp_path / "in" / "A").mkdir(parents=True)
    (tmp_path / "in" / "A" / "2026-01-19.json").write_text(f"[{tick}]")
    (day,) = import_ticks(tmp_path / "in", tmp_path / "db", compact_after_days=0).days
    assert (day.day, day.rows, day.compacted) == ("2026-01-19", 0, 1)
    check = "SELECT symbol, COUNT(*) FROM ticks GROUP BY symbol"
    with contextlib.closing(sqlite3.connect(day.path)) as plain:
        with pytest.raises(sqlite3.OperationalError, match="no such table: main.silt_block"):
            plain.execute(check)
        (needs,) = plain.execute("SELECT needs FROM siltstone_schema").fetchone()
        assert "siltstone.open(FILE)" in needs and "silt expand FILE" in needs
        with siltstone.open(tmp_path / "db") as db:
            assert db.sql(check).rows == [("A", 1)]
            assert (db.expand(), db.expand()) == (1, 0)
        assert plain.execute(check).fetchall() == [("A", 1)]


def test_an_import_says_what_it_skipped(tmp_path):
    """Goal: a malformed file is named with its byte and the others go on; progress can stop it."""
    tick = '{"broker_id":"b","symbol":"A","bid":1.5,"ask":1.6,"spread":0.1,'
    tick += '"timestamp":"2026-01-19T10:00:00Z","lp":"x"}'
    for symbol, text in (("A", f"[{tick}]"), ("B", f"[{tick},")):
        (tmp_path / "in" / symbol).mkdir(parents=True)
        (tmp_path / "in" / symbol / "2026-01-19.json").write_text(text)

    def stop(done, all):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        import_ticks(tmp_path / "in", tmp_path / "db", progress=stop, threads=1)
    report = import_ticks(tmp_path / "in", tmp_path / "db", dry_run=True)
    assert (report.ticks_read, report.ticks_bad) == (2, 1) and not report.ok
    report = import_ticks(tmp_path / "in", tmp_path / "db")
    (skipped,) = report.skipped
    assert skipped.path == tmp_path / "in/B/2026-01-19.json" and "byte" in skipped.reason and skipped.rows == 1
    with pytest.raises(NotFoundError):
        import_ticks(tmp_path / "none", tmp_path / "db")
