"""Threads, forks, Ctrl-C, and memory."""

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from siltstone import errors
from siltstone.simulation import SimulationDatabase, SimulationResults


def one(t):
    return {"g": {"id": {"data": [1]}, "x": {"data": [float(t)]}}}


def test_eight_threads_share_one_handle(db):
    """Goal: writers, readers and tickets side by side lose nothing and see whole updates."""

    def write(n):
        for t in range(100):
            db.store_update(t, n, "d", one(t))
            if t % 10 == 0:
                assert db.submit_update(t, n, "tickets", one(t)).wait() > 0

    def read(n):
        for _ in range(20):
            for update in db.get_dataset_updates("d"):
                assert update["g"]["x"]["data"][0] == update["timestamp"]
            db.get_timestamps("d")

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(write, n) for n in range(6)] + [pool.submit(read, n) for n in range(2)]
        for job in jobs:
            job.result()
    assert db.get_update_count("d") == 600 and db.get_update_count("tickets") == 60


def test_the_gil_is_released_while_we_work(db):
    """Goal: another thread counts on while a call waits for a lock on the file."""
    db.store_update(0, 0, "d", one(0))
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.4, lambda: other.execute("ROLLBACK")).start()
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    begun = time.perf_counter()
    db.store_update(1, 0, "d", one(1))
    waited = time.perf_counter() - begun
    stop.set()
    thread.join()
    other.close()
    assert waited > 0.2 and counted[0] > 50


def test_one_cursor_and_one_iterator_in_many_threads(db):
    """Goal: a shared cursor and a shared iterator neither deadlock nor give anything twice."""
    db.store_updates([(t, 0, "d", one(t)) for t in range(300)])
    cursor, updates = db.cursor("d", "g"), db.iter_updates("d")

    def work(n):
        for t in range(n, 100, 7):
            cursor.move_to(t)
            assert cursor.timestamp >= 0
        return [u["timestamp"] for u in updates]

    with ThreadPoolExecutor(6) as pool:
        seen = [t for part in pool.map(work, range(6)) for t in part]
    assert sorted(seen) == list(range(300))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_handle_does_not_cross_a_fork(db, path, tmp_path):
    """Goal: in the child the parent's handles say what is wrong and can be let go, the parent's file
    is refused (SQLite's list of locks came along), another one works; the parent goes on.
    """
    db.store_update(0, 0, "d", one(0))
    folder = tmp_path / "updates"
    folder.mkdir()
    (folder / "t0_0_a.json").write_text('{"a":{"g":{"id":[1],"x":[1.5]}}}')
    results, updates = SimulationResults(None, folder), db.iter_updates("d")
    second = SimulationDatabase(path)
    third = SimulationDatabase(path, durability="buffered")
    third.store_update(2, 0, "d", one(2))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                db.store_update(1, 0, "d", one(1))
            except errors.ClosedError as error:
                code = 0 if "fork" in str(error) else 2
            try:
                db.get_datasets()
                code = 3
            except errors.SiltstoneError:
                pass
            for close in (db.close, results.close, db.close):
                close()  # there is nothing to close here, and nothing to say
            with second, third:
                pass
            try:
                db.store_update(1, 0, "d", one(1))
            except errors.ClosedError as error:
                code = code or (0 if "closed" in str(error) else 6)
            del updates
            gc.collect()
            for read_only in (False, True):
                try:
                    SimulationDatabase(path, read_only=read_only)
                    code = 5
                except errors.ClosedError:
                    pass
            with SimulationDatabase(tmp_path / "own.db") as own:
                own.store_update(2, 0, "d", one(2))
        except BaseException:
            code = 4
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    db.store_update(3, 0, "d", one(3))
    second.close()
    third.flush()
    assert db.get_timestamps("d") == [0, 2, 3] and db.verify().ok
    assert len(list(updates)) == 1
    assert results.get_dataset("a").slice("g", timestamp=0)["x"]["data"].tolist() == [1.5]


CALLS = {
    "a ticket": "other.execute('BEGIN IMMEDIATE'); db.submit_update(1, 0, 'd', one).wait()",
    "sql": "db.sql('WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c')",
    "single writes": "for t in range(10**9): db.store_update(t, 1, 'd', one)",
}


@pytest.mark.parametrize("what", CALLS)
def test_ctrl_c_stops_a_long_call(path, what):
    """Goal: a KeyboardInterrupt within a second or so, and the file is whole."""
    program = f"""
import sqlite3, sys
from siltstone.simulation import SimulationDatabase
one = {{"g": {{"id": {{"data": [1]}}, "x": {{"data": [1.0]}}}}}}
db = SimulationDatabase({str(path)!r})
db.store_updates([(t, 0, "d", one) for t in range(2000)])
other = sqlite3.connect({str(path)!r}, isolation_level=None)
try:
    print("ready", flush=True)
    {CALLS[what]}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    other.close()
    db.close()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    begun = time.perf_counter()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    took = time.perf_counter() - begun
    if what == "sql":
        process.kill()  # the abandoned statement never ends by itself
    else:
        process.communicate(timeout=30)
    assert took < 2.0
    with SimulationDatabase(path) as db:
        assert db.verify().ok and db.get_update_count() >= 2000


def test_a_keyboard_interrupt_inside_numpy_is_none_of_the_values(db):
    """Goal: what is raised while numpy reads a list is not told as an error of the list."""

    class Stops:
        def __array__(self, *args, **kwargs):
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        db.store_update(0, 0, "d", {"g": {"id": {"data": [1]}, "x": {"data": Stops()}}})
    assert db.get_update_count() == 0


def test_ctrl_c_stops_a_long_read(db):
    """Goal: a signal in the middle of one long call is heard there, and not at its end."""
    db.store_updates([(t, 0, "d", one(t)) for t in range(30_000)])
    begun = time.perf_counter()
    db.get_dataset_updates("d")
    whole = time.perf_counter() - begun

    def stop(number, frame):
        raise KeyboardInterrupt("stop")

    before = signal.signal(signal.SIGALRM, stop)
    begun = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt, match="stop"):
            signal.setitimer(signal.ITIMER_REAL, whole / 10)
            db.get_dataset_updates("d")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.perf_counter() - begun < whole / 2


WAITING = {
    "store_update": "db.store_update(5000, 0, 'd', one)",
    "store_updates": "db.store_updates([(5000, 0, 'd', one), (5001, 0, 'd', one)])",
    "flush": "db.submit_update(5000, 0, 'd', one); db.flush()",
    "close": "db.close()",
    "exit": "db.__exit__(None, None, None)",
    "resume_from": "db.resume_from(3)",
    "vacuum": "db.vacuum()",
    "build_keyframes": "db.build_keyframes()",
    "backup_into": "db.backup_into(folder)",
    "set_timeline": "db.set_timeline(0.0)",
    "mark_failed": "db.mark_failed('x')",
    "open": "SimulationDatabase(folder + '/other.db')",
}


@pytest.mark.parametrize("what", WAITING)
def test_ctrl_c_stops_a_call_that_waits_for_another_process(path, tmp_path, what):
    """Goal: while another process holds the file, a KeyboardInterrupt comes within a second or so,
    says what became of the write, and nothing of it is stored; the handle goes on working.
    """
    locked = tmp_path / "other.db" if what == "open" else path
    program = f"""
import sys
from siltstone.simulation import SimulationDatabase
one = {{"g": {{"id": {{"data": [1]}}, "x": {{"data": [1.0]}}}}}}
folder = {str(tmp_path)!r}
with SimulationDatabase({str(path)!r}) as db:
    db.store_updates([(t, 0, "d", one) for t in range(2000)])
    db.resume_from(1990)
# A new handle: the thread that builds keyframes behind the writes of the first one would wait for the
# file as well, and what is called below would be queued behind it.
db = SimulationDatabase({str(path)!r})
print("written", flush=True)
sys.stdin.readline()
try:
    print("ready", flush=True)
    {WAITING[what]}
    print("done", flush=True)
except KeyboardInterrupt as error:
    print("interrupted", *getattr(error, "__notes__", []), flush=True)
sys.stdin.readline()
assert not db.closed
db.store_update(6000, 0, "d", one)
db.close()
print("closed", flush=True)
"""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "written\n"
    other = sqlite3.connect(locked, isolation_level=None)
    if what == "build_keyframes":
        # Or they may have been built behind the writes already, and nothing is left to wait for.
        other.execute("DELETE FROM simulation_keyframe")
    if what == "open":
        # A file that is being made by another program holds whoever opens it too.
        other.execute("BEGIN EXCLUSIVE")
    else:
        other.execute("BEGIN IMMEDIATE")
    try:
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.4)
        begun = time.perf_counter()
        process.send_signal(signal.SIGINT)
        said = process.stdout.readline()
        took = time.perf_counter() - begun
        other.execute("ROLLBACK")
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "closed\n"
    finally:
        other.close()
        process.kill()
        process.communicate()
    assert said.startswith("interrupted") and took < 2.0, (said, took)
    if sys.version_info >= (3, 11):
        assert "siltstone: interrupted while" in said, said
    with SimulationDatabase(path, read_only=True) as db:
        expected = 1991 + 1 + (what == "flush")
        assert db.get_update_count() == expected and db.verify().ok
        assert db.status == "complete" and db.run.timeline is None


def test_ctrl_c_withdraws_a_queued_write(path):
    """Goal: a write behind others in the queue is cancelled and not done; one that was handed in by ticket is."""
    program = f"""
import sys, threading
from siltstone.simulation import SimulationDatabase
one = {{"g": {{"id": {{"data": [1]}}, "x": {{"data": [1.0]}}}}}}
db = SimulationDatabase({str(path)!r})
db.store_update(0, 0, "d", one)
print("written", flush=True)
sys.stdin.readline()
first = db.submit_update(1, 0, "d", one)
import time; time.sleep(0.2)
try:
    print("ready", flush=True)
    db.store_update(2, 0, "d", one)
except KeyboardInterrupt as error:
    print("interrupted", *getattr(error, "__notes__", []), flush=True)
sys.stdin.readline()
db.close()
print("closed", flush=True)
"""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "written\n"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    begun = time.perf_counter()
    said = process.stdout.readline()
    assert said.startswith("interrupted") and time.perf_counter() - begun < 2.0
    if sys.version_info >= (3, 11):
        assert "while writing" in said
    other.execute("ROLLBACK")
    other.close()
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "closed\n"
    process.communicate()
    with SimulationDatabase(path, read_only=True) as db:
        assert db.get_timestamps("d") == [0, 1]


def test_a_signal_handler_that_returns_disturbs_nothing(db):
    """Goal: a handler that only looks, or reads, runs while a write waits, and the write goes on."""
    db.store_update(0, 0, "d", one(0))
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(db.get_update_count()))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    threading.Timer(0.6, lambda: other.execute("ROLLBACK")).start()
    begun = time.perf_counter()
    try:
        assert db.store_update(1, 0, "d", one(1)) > 0
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == [1] and time.perf_counter() - begun > 0.4
    other.close()


def test_awaiting_tickets_never_holds_the_event_loop(db):
    """Goal: with several awaiters, and callers that ask `done()`, of writes that take a second, the
    loop turns every few milliseconds.
    """
    db.store_update(0, 0, "d", one(0))
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    gaps = []

    async def turn(stop):
        last = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    async def run():
        stop = asyncio.Event()
        turning = asyncio.create_task(turn(stop))
        tickets = [db.submit_update(t, 0, "d", one(t)) for t in range(1, 41)]
        asyncio.get_running_loop().call_later(1.0, other.execute, "ROLLBACK")

        async def answer(ticket):
            return await ticket

        waiting = [asyncio.create_task(answer(t)) for t in tickets for _ in range(2)]
        abandoned = asyncio.create_task(answer(tickets[0]))
        while not all(ticket.done() for ticket in tickets):
            await asyncio.sleep(0.003)
            abandoned.cancel()
        ids = await asyncio.gather(*waiting)
        # The loop's own threads are not taken up by waiting.
        begun = time.perf_counter()
        await asyncio.to_thread(int)
        assert time.perf_counter() - begun < 1.0
        stop.set()
        await turning
        return ids

    ids = asyncio.run(run())
    other.close()
    assert len(set(ids)) == 40 and len(gaps) > 40
    assert max(gaps) < 0.15, max(gaps)


def test_the_loops_own_threads_are_free_while_tickets_are_awaited(db):
    """Goal: any number of awaited tickets takes none of the threads that other work of the loop needs."""
    db.store_update(0, 0, "d", one(0))
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    async def run():
        async def answer(ticket):
            return await ticket

        tickets = [db.submit_update(t, 0, "d", one(t)) for t in range(1, 101)]
        waiting = [asyncio.create_task(answer(t)) for t in tickets]
        await asyncio.sleep(0.05)
        begun = time.perf_counter()
        await asyncio.to_thread(int)
        took = time.perf_counter() - begun
        other.execute("ROLLBACK")
        assert len(set(await asyncio.gather(*waiting))) == 100
        return took

    assert asyncio.run(run()) < 0.5
    other.close()


UNSEEN = {
    "at the end of the program": "",
    "when the handle goes": "del db",
}


@pytest.mark.parametrize("what", UNSEEN)
def test_an_error_that_nobody_asked_for_is_told(path, what):
    """Goal: a buffered update that failed is reported on stderr if the handle is never closed."""
    program = f"""
from siltstone.simulation import SimulationDatabase
db = SimulationDatabase({str(path)!r}, durability="buffered")
db.store_update(0, 0, "d", {{}})
db.store_update(0, 0, "d", {{}})
{UNSEEN[what]}
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout == ""
    assert "RuntimeWarning" in ran.stderr and "timestamp 0, iteration 0" in ran.stderr
    assert ran.stderr.count("RuntimeWarning") == 1
    quiet = program.replace("(0, 0,", "(1, 0,", 1).replace("(0, 0,", "(2, 0,", 1)
    ran = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    with SimulationDatabase(path, read_only=True) as db:
        assert db.get_timestamps("d") == [0, 1, 2]


def test_a_killed_run_is_seen(path):
    """Goal: what was acknowledged is there, and the run is not called complete."""
    program = f"""
import os
from siltstone.simulation import SimulationDatabase
db = SimulationDatabase({str(path)!r})
for t in range(50):
    db.store_update(t, 0, "d", {{"g": {{"id": {{"data": [1]}}}}}})
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    with SimulationDatabase(path, read_only=True) as db:
        assert db.get_update_count() == 50 and db.status == "running"


def test_dropped_handles_flush_and_nothing_leaks(path):
    """Goal: a handle that is dropped lets the queue run dry, and arrays give their memory back."""
    resource = pytest.importorskip("resource")
    db = SimulationDatabase(path)
    x = np.zeros(200_000)
    tickets = [db.submit_update(t, 0, "d", {"g": {"x": {"data": x + t}}}) for t in range(5)]
    del db, tickets
    gc.collect()
    with SimulationDatabase(path) as db:
        assert db.get_update_count() == 5
        before = None
        for i in range(60):
            db.get_dataset_updates("d")
            if i == 20:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 32 * 1024, f"{grown} KiB more"
