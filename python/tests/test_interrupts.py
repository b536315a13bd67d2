"""An exception at any instant: what was acknowledged is in the file, once, and nothing is left open.

A timer's handler raises at random instants of a store's calls, or a tracer at each bytecode of one; then another
library counts what is there. ``SILTSTONE_INTERRUPT_ROUNDS=2000`` is the full form.
"""

import asyncio
import collections
import contextlib
import itertools
import os
import random
import signal as signals
import sqlite3
import sys
import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from experiment_world import agent

from siltstone import errors, series
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage, SQLiteStorageError
from siltstone.series import Dataset, PandasOnDiskAdapter, Signal, TimeSeries
from siltstone.simulation import DataCollector, SimulationDatabase
from siltstone.ticks import TickStore, TickStoreConfig

ROUNDS = int(os.environ.get("SILTSTONE_INTERRUPT_ROUNDS", "120"))
#: Rounds after which a store is closed and opened anew.
LIFE = 40

pytestmark = pytest.mark.skipif(not hasattr(signals, "setitimer"), reason="no timers here")


class Interrupt(BaseException):
    """What the handler raises, as Ctrl-C raises KeyboardInterrupt."""


class Interrupter:
    """Runs work until a timer's handler raises in it."""

    def __init__(self):
        self.armed = False
        self.random = random.Random(13)

    def handle(self, *_):
        if self.armed:
            self.armed = False
            raise Interrupt

    def run(self, work, most=0.004):
        """Repeats `work`; ends at a random instant of it."""
        try:
            while True:
                # Python drops what is raised in a finalizer: then it is raised once more.
                if not self.armed:
                    self.armed = True
                    signals.setitimer(signals.ITIMER_REAL, self.random.uniform(1e-5, most))
                work()
        except Interrupt:
            pass


@pytest.fixture
def interrupter():
    found = Interrupter()
    before = signals.signal(signals.SIGALRM, found.handle)
    yield found
    signals.setitimer(signals.ITIMER_REAL, 0)
    signals.signal(signals.SIGALRM, before)


def lives():
    """The rounds of one opening after another."""
    return [range(start, min(start + LIFE, ROUNDS)) for start in range(0, ROUNDS, LIFE)]


def compare(acknowledged, there):
    """What was acknowledged is there, and nothing twice; how much that was."""
    counted = collections.Counter(there)
    missing = [one for one in acknowledged if one not in counted]
    doubled = [one for one, times in counted.items() if times > 1]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged are missing, as {missing[:5]}"
    assert not doubled, f"{len(doubled)} are there more than once, as {doubled[:5]}"
    assert acknowledged
    print(f"{ROUNDS} interrupts, {len(acknowledged)} acknowledged, {len(counted)} there: none missing, none doubled")


def rows(path, sql):
    """The first column, as SQLite itself has it."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute(sql)]


# -- memories ----------------------------------------------------------------------------------------


def close(store):
    """Closes a store, which may tell of a block that was interrupted in the code that was to leave it."""
    try:
        store.close()
    except errors.ClosedError as error:
        assert "left in its middle" in str(error)


@contextlib.contextmanager
def inside(store):
    """A user's own block around one of ours."""
    with store.transaction():
        yield


def test_interrupted_transactions_lose_no_memory(tmp_path, interrupter):
    """Goal: a block is whole or not there, and no later call becomes part of one that was interrupted."""
    path, numbers, acknowledged = tmp_path / "agent.db", itertools.count(1), []

    def put(store):
        number = next(numbers)
        store.store_episode([number], float(number), "c")
        return number

    def alone(store):
        acknowledged.append(put(store))

    def block(store):
        with store.transaction():
            done = [put(store), put(store)]
        acknowledged.extend(done)

    def nested(store):
        with store.transaction():
            done = [put(store)]
            with store.transaction():
                done.append(put(store))
        acknowledged.extend(done)

    def of_a_stack(store):
        with contextlib.ExitStack() as stack:
            stack.enter_context(store.transaction())
            done = [put(store), put(store)]
        acknowledged.extend(done)

    def of_a_generator(store):
        with inside(store):
            done = [put(store), put(store)]
        acknowledged.extend(done)

    kinds = [alone, block, nested, of_a_stack, of_a_generator]
    for life in lives():
        store = SQLiteStorage(path, backup_interval=1e9)
        for round in life:
            interrupter.run(partial(kinds[next(numbers) % len(kinds)], store))
            assert not store._inner.in_transaction, f"round {round}"
        close(store)
    compare(acknowledged, rows(path, "SELECT CAST(performance_score AS INTEGER) FROM episodes"))


def test_an_exception_at_any_bytecode_of_a_block_leaves_nothing_open(tmp_path):
    """Goal: as a tracer raises it: before, within and after the block, in the caller's frame and in ours;
    deterministic.
    """
    store = SQLiteStorage(tmp_path / "agent.db", backup_interval=1e9)
    left = 0

    def trace(frame, event, _):
        nonlocal left
        ours = frame.f_code is use.__code__ or "siltstone" in frame.f_code.co_filename
        if not ours or ("test_" in frame.f_code.co_filename and frame.f_code is not use.__code__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise Interrupt
        return trace

    def use(number):
        with store.transaction():
            store.store_episode([1], float(number), "c")
            store.store_episode([2], float(number), "c")
        return number

    acknowledged, tried = [], 0
    for tried in itertools.count(1):
        left = tried
        sys.settrace(trace)
        try:
            acknowledged.append(use(tried))
        except Interrupt:
            pass
        finally:
            sys.settrace(None)
        assert not store._inner.in_transaction, f"raised at bytecode {tried}"
        if left > 0:
            break
    close(store)
    found = collections.Counter(rows(tmp_path / "agent.db", "SELECT performance_score FROM episodes"))
    assert set(found.values()) == {2} and set(acknowledged) <= set(found)
    assert tried > 20


def test_a_block_that_nobody_leaves_is_rolled_back_and_told(tmp_path):
    """Goal: one that is let go ends; what was written in it meanwhile is an error of the close, and not a success."""
    store = SQLiteStorage(tmp_path / "agent.db", backup_interval=1e9)
    left = store.transaction()
    left.__enter__()
    with pytest.raises(SQLiteStorageError, match="open already"):
        left.__enter__()
    del left
    assert not store._inner.in_transaction
    assert store.store_episode([1], 1.0, "c") == 1
    outer = store.transaction()
    with pytest.raises(errors.ClosedError, match="left in its middle"), outer:
        inner = store.transaction()
        inner.__enter__()
        store.store_episode([2], 2.0, "c")
        del inner
        store.store_episode([3], 3.0, "c")
    left = store.transaction()
    left.__enter__()
    store.store_episode([4], 4.0, "c")
    ending = threading.Thread(target=left.__exit__, args=(None, None, None))
    ending.start()
    ending.join()
    assert not store._inner.in_transaction
    left = store.transaction()
    left.__enter__()
    store.store_episode([5], 5.0, "c")
    del left
    with pytest.raises(errors.ClosedError, match="left in its middle"):
        store.close()
    assert rows(tmp_path / "agent.db", "SELECT performance_score FROM episodes") == [1.0, 4.0]


def test_closing_over_an_open_block_is_an_error(tmp_path):
    """Goal: what was written in it is rolled back, and both the close and the block say so."""
    store = SQLiteStorage(tmp_path / "agent.db", backup_interval=1e9)
    with pytest.raises(SQLiteStorageError, match="not open"), store.transaction():
        store.store_episode([1], 1.0, "c")
        with pytest.raises(errors.InTransactionError, match="was open when the file was closed"):
            store.close()
    with pytest.raises(ValueError, match="mine") as caught, SQLiteStorage(tmp_path / "agent.db") as store:
        held = store.transaction()
        held.__enter__()
        store.store_episode([1], 1.0, "c")
        raise ValueError("mine")
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__[0].startswith(f"closing {store!r} failed too: a transaction was open")
    assert rows(tmp_path / "agent.db", "SELECT count(*) FROM episodes") == [0]


# -- simulations -------------------------------------------------------------------------------------


def test_interrupted_updates_are_kept_once(tmp_path, interrupter):
    """Goal: updates one by one, many at once and by ticket."""
    path, numbers, acknowledged = tmp_path / "run.db", itertools.count(1), []

    def data(number):
        return {"g": {"id": {"data": [1]}, "x": {"data": [float(number)]}}}

    def alone(db):
        number = next(numbers)
        db.store_update(number, 0, "d", data(number))
        acknowledged.append(number)

    def many(db):
        some = [next(numbers) for _ in range(5)]
        db.store_updates([(number, 0, "d", data(number)) for number in some])
        acknowledged.extend(some)

    def by_ticket(db):
        some = [next(numbers) for _ in range(5)]
        tickets = [db.submit_update(number, 0, "d", data(number)) for number in some]
        for number, ticket in zip(some, tickets, strict=True):
            ticket.wait()
            acknowledged.append(number)

    kinds = [alone, many, by_ticket]
    for life in lives():
        with SimulationDatabase(path) as db:
            for _ in life:
                interrupter.run(lambda: kinds[next(numbers) % 3](db))
    compare(acknowledged, rows(path, 'SELECT timestamp FROM "update"'))


@pytest.mark.parametrize("aggregate", [False, True])
def test_interrupted_collectors_store_what_they_took(tmp_path, interrupter, aggregate):
    """Goal: an update that was taken is stored, also where the call that was to store it was interrupted."""
    path, numbers, acknowledged = tmp_path / "run.db", itertools.count(1), []

    def step(collector):
        number = next(numbers)
        collector.new_time(number)
        collector.update("d", {"g": {"id": {"data": [1]}, "x": {"data": [float(number)]}}})
        acknowledged.append(number)

    for life in lives():
        config = {"database_path": path, "append": True, "aggregate_updates": aggregate}
        with DataCollector(config) as collector:
            for _ in life:
                interrupter.run(lambda: step(collector))
    compare(acknowledged, rows(path, 'SELECT timestamp FROM "update"'))


# -- experiments -------------------------------------------------------------------------------------


def test_interrupted_logging_keeps_each_row_once(tmp_path, interrupter):
    """Goal: steps, actions and metrics, buffered or not."""
    path, numbers = tmp_path / "sweep.db", itertools.count(1)
    steps, actions = [], []

    def log(sim):
        number = next(numbers)
        sim.log_step(number, [agent("a", number)], [], {"total_agents": 1})
        steps.append(number)
        sim.log_agent_action(number, "a", "move", None, 0.5)
        actions.append(number)

    for count, life in enumerate(lives()):
        with ExperimentDatabase(path, "exp") as db, db.create_simulation_context(f"sim_{count}") as sim:
            for _ in life:
                interrupter.run(lambda: log(sim))
    compare(steps, rows(path, "SELECT step FROM simulation_steps_rows"))
    compare(actions, rows(path, "SELECT step FROM agent_actions_rows"))


# -- ticks -------------------------------------------------------------------------------------------


def test_interrupted_ticks_are_written_once(base, interrupter):
    """Goal: what a flush has acknowledged, and a bulk."""
    numbers, acknowledged = itertools.count(1), []

    def flushed(store):
        some = [next(numbers) for _ in range(20)]
        for number in some:
            store.store_tick("A", 1.0, 2.0, 1.0, "LP", number)
        store.flush()
        acknowledged.extend(some)

    def at_once(store):
        some = np.array([next(numbers) for _ in range(20)])
        store.store_ticks("B", some, np.ones(20), np.ones(20))
        acknowledged.extend(some.tolist())

    for life in lives():
        with TickStore(TickStoreConfig.production("B", sqlite_base_path=base)) as store:
            for _ in life:
                interrupter.run(lambda: (flushed, at_once)[next(numbers) % 2](store))
    (file,) = base.glob("*/*/ticks_*.db")
    compare(acknowledged, rows(file, "SELECT time_ns FROM tick_rows"))


# -- series ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sql", "disk"])
def test_interrupted_appends_are_kept_once(tmp_path, interrupter, kind):
    """Goal: of a backend."""

    def again():
        folder = tmp_path / "parquet"
        return series.open(f"sqlite:{tmp_path}/a.db") if kind == "sql" else PandasOnDiskAdapter(folder)

    numbers, acknowledged, backend = itertools.count(1), [], again()
    backend.save(pd.Series([0.0], pd.RangeIndex(1).astype("int64")), "k", {})

    def append():
        number = next(numbers)
        backend.append("k", pd.Series([float(number)], pd.Index([number], dtype="int64")))
        acknowledged.append(number)

    for _ in range(ROUNDS):
        interrupter.run(append, most=0.008 if kind == "sql" else 0.08)  # a folder syncs
    compare(acknowledged, again().load("k")[0].to_numpy().astype(int).tolist())


def test_interrupted_changes_leave_a_dataset_and_its_backend_as_one(tmp_path, interrupter):
    """Goal: whatever was interrupted, what is in memory is what is in the file, and the next change goes well."""
    backend = series.open(f"sqlite:{tmp_path}/a.db")
    dataset = Dataset(name="plant", backend=backend)
    dataset.add(Signal(pd.Series([1.0], pd.RangeIndex(1), name="RAW"), name="flow", units="m3/h"))
    flow, acknowledged = dataset["flow#1"], ["flow#1_RAW#1"]

    def add():
        acknowledged.append(flow.add(TimeSeries(pd.Series([1.0], pd.RangeIndex(1), name="RAW"))))

    def both():
        add()
        if len(acknowledged) > 5:
            flow.remove(acknowledged.pop(0))

    for round in range(ROUNDS):
        interrupter.run(both, most=0.02)
        stored = {full for _, _, full in dataset._home.series()}
        assert stored == set(flow.time_series), f"round {round}"
        assert set(acknowledged) <= stored
        for name in sorted(stored - set(acknowledged)):
            flow.remove(name)
    again = Dataset.open(backend, "plant")["flow#1"]
    assert sorted(again.all_time_series) == sorted(flow.all_time_series)
    print(f"{ROUNDS} interrupts, {len(acknowledged)} series at the end: memory and file agreed after each")


# -- waits -------------------------------------------------------------------------------------------


def hear(wait, seconds=5.0):
    """Whether a wait hears a signal, soon."""

    def handle(*_):
        raise Interrupt

    before = signals.signal(signals.SIGALRM, handle)
    start = time.monotonic()
    try:
        signals.setitimer(signals.ITIMER_REAL, 0.3)
        with pytest.raises(Interrupt):
            wait()
    finally:
        signals.setitimer(signals.ITIMER_REAL, 0)
        signals.signal(signals.SIGALRM, before)
    assert time.monotonic() - start < seconds


@pytest.fixture
def held(tmp_path):
    """A file of three stores, and another library that can hold it."""
    path = tmp_path / "held.db"
    SimulationDatabase(path).close()
    with ExperimentDatabase(path, "exp"), SQLiteStorage(path, backup_interval=1e9):
        pass
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    yield path, conn
    conn.close()


def test_whoever_waits_for_another_process_hears_a_signal(held):
    """Goal: in each store that writes into a database; what was interrupted is not written, and rows that wait wait
    further.
    """
    path, conn = held
    db = SimulationDatabase(path)
    store = SQLiteStorage(path, backup_interval=1e9)
    conn.execute("BEGIN IMMEDIATE")
    hear(lambda: db.store_update(1, 0, "d", {"g": {"id": {"data": [1]}}}))
    ticket = db.submit_update(2, 0, "d", {"g": {"id": {"data": [1]}}})
    hear(ticket.wait)
    hear(lambda: db.store_update(3, 0, "d", {"g": {"id": {"data": [1]}}}))
    hear(lambda: store.store_episode([1], 0.5, "c"))
    hear(lambda: store.transaction().__enter__())
    conn.execute("ROLLBACK")
    ticket.wait()
    experiments = ExperimentDatabase(path, "exp")
    sim = experiments.create_simulation_context("sim")
    conn.execute("BEGIN IMMEDIATE")
    hear(lambda: sim.log_step(1, [agent("a")], []))
    conn.execute("ROLLBACK")
    experiments.close()
    store.close()
    db.close()
    assert rows(path, 'SELECT timestamp FROM "update"') == [2]
    assert rows(path, "SELECT count(*) FROM episodes") == [0]
    assert rows(path, "SELECT step FROM simulation_steps_rows") == [1]


def test_a_flush_of_ticks_hears_a_signal(make, base):
    """Goal: while another process holds the day; nothing is lost."""
    store = make()
    store.store_tick("A", 1.0, 2.0, 1.0, "LP", 0)
    store.flush()
    (file,) = base.glob("*/*/ticks_*.db")
    conn = sqlite3.connect(file, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    store.store_tick("A", 1.0, 2.0, 1.0, "LP", 1)
    hear(store.flush)
    hear(store.stop)
    conn.execute("ROLLBACK")
    conn.close()
    assert store.stop().written == 2
    assert rows(file, "SELECT time_ns FROM tick_rows") == [0, 1]


def test_an_await_that_was_interrupted_leaves_the_next_one_well(held, monkeypatch):
    """Goal: a thread that was to answer and was never started is no reason to wait without an end."""
    path, conn = held
    start, interrupted = threading.Thread.start, []

    def interrupt(thread):
        if thread.name == "siltstone-await" and not interrupted:
            interrupted.append(thread)
            raise Interrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    db = SimulationDatabase(path)

    async def update(number):
        ticket = db.submit_update(number, 0, "d", {"g": {"id": {"data": [1]}}})
        return await asyncio.wait_for(await_it(ticket), 20)

    async def await_it(ticket):
        return await ticket

    conn.execute("BEGIN IMMEDIATE")
    with pytest.raises(Interrupt):
        asyncio.run(update(1))
    threading.Timer(0.3, conn.execute, ["ROLLBACK"]).start()
    assert asyncio.run(update(2)) == 2 and interrupted
    db.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_ticket_in_a_fork_is_an_answer_or_an_error(held):
    """Goal: what was answered before the fork is reported, what was not is an error and no wait without an end."""
    path, conn = held
    db = SimulationDatabase(path)
    conn.execute("BEGIN IMMEDIATE")
    waiting = db.submit_update(1, 0, "d", {"g": {"id": {"data": [1]}}})
    other = SimulationDatabase(path.with_name("other.db"))
    answered = other.submit_update(1, 0, "d", {"g": {"id": {"data": [1]}}})
    while not answered.done():
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signals.alarm(20)
        try:
            assert not waiting.done() and answered.done() and answered.wait() == 1
            waiting.wait()
        except errors.ClosedError as error:
            os._exit(7 if "forked from" in str(error) else 3)
        except BaseException:
            os._exit(4)
        os._exit(5)
    _, status = os.waitpid(child, 0)
    conn.execute("ROLLBACK")
    assert os.waitstatus_to_exitcode(status) == 7
    assert waiting.wait() == 1
    db.close()
    other.close()
