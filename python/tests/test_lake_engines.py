"""Lakes as other engines read them: the same answers from each, and from our own files."""

import contextlib
import datetime
import decimal
import threading
from pathlib import Path

import lake_world
import numpy as np
import pytest

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
delta_extension = pytest.importorskip("duckdb_extension_delta", reason="duckdb-extension-delta is not installed")
deltalake = pytest.importorskip("deltalake", reason="deltalake is not installed")
pl = pytest.importorskip("polars", reason="polars is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

import siltstone
from siltstone.memory import SQLiteStorage

TABLES = ["ticks", *lake_world.OWN]
#: Sums are exact in any order: the numbers are few and have few bits. `{day}` is a date as an engine writes it.
QUESTIONS = {
    "all ticks": """SELECT count(*), min(time_ns), max(time_ns), min(time), max(time), sum(bid), sum(ask), sum(spread)
        FROM ticks""",
    "ticks by symbol": "SELECT symbol, count(*), sum(bid), max(ask) FROM ticks GROUP BY symbol",
    "ticks by symbol and hour": """SELECT symbol, time_ns - time_ns % 3600000000000 AS hour, count(*), min(bid),
        sum(ask) FROM ticks GROUP BY symbol, time_ns - time_ns % 3600000000000""",
    "a site's day": """SELECT lp_source, broker_id, count(*), sum(bid) FROM ticks
        WHERE store_id = '{site}' AND day = {day} GROUP BY lp_source, broker_id""",
    "a symbol's hour": """SELECT count(*), sum(bid), min(time_ns), max(time_ns) FROM ticks
        WHERE symbol = 'XAUUSD' AND time_ns >= 1772449200000000000 AND time_ns < 1772452800000000000""",
    "runs and their metrics": """SELECT r.status, m.name, count(*), sum(m.value), max(m.step_number)
        FROM runs r JOIN run_metrics m ON r.store_id = m.store_id AND r.simulation_id = m.simulation_id
        GROUP BY r.status, m.name""",
    "nulls of records": """SELECT sensor, count(*), count(celsius), count(note), sum(celsius), min(step), max(step),
        max(note) FROM temperature GROUP BY sensor""",
    "episodes by context": """SELECT context_hash, count(*), sum(performance_score), min(timestamp), max(timestamp)
        FROM episodes GROUP BY context_hash""",
    "concepts and their relationships": """SELECT c.name, count(*), sum(r.strength), sum(c.access_count)
        FROM concepts c JOIN relationships r ON c.store_id = r.store_id AND c.id = r.source_concept_id
        GROUP BY c.name""",
    "nulls of events": """SELECT task_type, count(*), count(parameters), sum(performance_delta)
        FROM learning_events GROUP BY task_type""",
    "points by key": """SELECT key, count(*), min(time), max(time), sum(value), sum(value_integer), count(value_text),
        max(value_text) FROM series_points GROUP BY key""",
    "a year of points": """SELECT s.key, s.length, count(*) FROM series s JOIN series_points p
        ON s.store_id = p.store_id AND s.key = p.key WHERE p.year = '2025' GROUP BY s.key, s.length""",
}


def plain(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(
            microseconds=1
        )
    return int(value) if isinstance(value, decimal.Decimal) else value


def answer(rows):
    return sorted((tuple(plain(value) for value in row) for row in rows), key=repr)


def rows(table):
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def loaded():
    """DuckDB with its reader of Delta, from the wheel: nothing is fetched."""
    extension = next(Path(delta_extension.__file__).parent.rglob("delta.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    return connection


class Engine:
    def close(self):
        pass


class DuckDB(Engine):
    def __init__(self, lake):
        self.connection = loaded()
        for table in TABLES:
            self.connection.execute(f"CREATE VIEW {table} AS SELECT * FROM delta_scan('{lake}/{table}')")

    def ask(self, sql):
        return rows(self.connection.execute(sql).to_arrow_table())


class Polars(Engine):
    def __init__(self, lake):
        self.context = pl.SQLContext({table: pl.scan_delta(f"{lake}/{table}") for table in TABLES})

    def ask(self, sql):
        return self.context.execute(sql, eager=True).rows()


class DeltaLake(Engine):
    def __init__(self, lake):
        self.builder = deltalake.QueryBuilder()
        for table in TABLES:
            self.builder.register(table, deltalake.DeltaTable(f"{lake}/{table}"))

    def ask(self, sql):
        return rows(pa.table(self.builder.execute(sql).read_all()))


class PyArrow(Engine):
    """The rows by `to_pyarrow_table`, the question by DuckDB without its reader of Delta."""

    def __init__(self, lake):
        self.connection = duckdb.connect()
        for table in TABLES:
            self.connection.register(table, deltalake.DeltaTable(f"{lake}/{table}").to_pyarrow_table())

    def ask(self, sql):
        return rows(self.connection.execute(sql).to_arrow_table())


class Sail(Engine):
    """Spark's SQL, by Sail."""

    def __init__(self, lake=None):
        spark = pytest.importorskip("pysail.spark", reason="pysail is not installed")
        sessions = pytest.importorskip("pyspark.sql", reason="pyspark-client is not installed")
        self.server = spark.SparkConnectServer()
        self.server.start(background=True)
        _, port = self.server.listening_address
        self.session = sessions.SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
        self.session.conf.set("spark.sql.session.timeZone", "UTC")
        for table in TABLES if lake else ():
            self.session.read.format("delta").load(f"{lake}/{table}").createOrReplaceTempView(table)

    def ask(self, sql):
        return rows(self.session.sql(sql).toArrow())

    def close(self):
        self.session.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A lake, and the folders of the three sites that published to it at the same time."""
    folder = tmp_path_factory.mktemp("lake")
    lake = folder / "lake"
    return str(lake), lake_world.run_sites(folder, str(lake))


@pytest.fixture(scope="module")
def own(world):
    _, folders = world
    rows, site = lake_world.own_rows(folders), lake_world.store_id(folders[1] / "ticks")

    def answers():
        for name, sql in QUESTIONS.items():
            found = answer(rows.execute(sql.format(site=site, day="'2026-03-03'")).fetchall())
            assert found, f"{name}: no rows say nothing"
            yield name, found

    return site, dict(answers())


@pytest.mark.parametrize("engine", [DuckDB, Polars, DeltaLake, PyArrow, Sail])
def test_an_engine_answers_as_our_own_files_do(world, own, engine):
    """Goal: twelve aggregates over a lake that three processes wrote are those of our SQL over the three files."""
    site, expected = own
    with contextlib.closing(engine(world[0])) as made:
        for name, sql in QUESTIONS.items():
            assert answer(made.ask(sql.format(site=site, day="DATE '2026-03-03'"))) == expected[name], name


def test_a_day_of_a_site_is_read_without_the_other_files(world, own):
    """Goal: the partitions prune: of 18 files of ticks the three of a site and day are read."""
    sql = f"SELECT sum(bid) FROM delta_scan('{world[0]}/ticks') WHERE store_id = '{own[0]}'"
    plan = loaded().execute(f"EXPLAIN ANALYZE {sql} AND day = DATE '2026-03-03'").fetchone()[1]
    assert "Scanning Files: 3/18" in plan and "Total Files Read: 3 " in plan, plan


def test_a_version_is_read_while_the_next_is_written(tmp_path):
    """Goal: who reads version N gets its rows, all of them and no others, whatever is published meanwhile."""
    path, lake = tmp_path / "agent.db", tmp_path / "lake"
    table, is_over = f"{lake}/learning_events", threading.Event()

    def event(n):
        with SQLiteStorage(path) as memory:
            memory.store_learning_event("maze", float(n), "explore")
        lake_world.publish(path, str(lake))

    def write():
        for n in range(1, 30):
            event(n)
        is_over.set()

    event(0)
    writer = threading.Thread(target=write)
    writer.start()
    con, reads = loaded(), 0
    while not is_over.is_set() or reads < 3:
        version = deltalake.DeltaTable(table).version()
        old = version // 2
        for v in (version, old):
            found = deltalake.DeltaTable(table, version=v).to_pyarrow_table()["performance_delta"].to_pylist()
            assert sorted(found) == [float(n) for n in range(v + 1)]
            assert pl.scan_delta(table, version=v).select(pl.col("performance_delta").sum()).collect().item() == sum(
                found
            )
            sql = f"SELECT sum(performance_delta) FROM delta_scan('{table}', version => {v})"
            assert con.execute(sql).fetchone()[0] == sum(found)
        reads += 1
    writer.join()
    assert deltalake.DeltaTable(table).version() == 29, "past the checkpoint of the twentieth commit"
    first = deltalake.DeltaTable(table, version=0).to_pyarrow_table()
    assert first["performance_delta"].to_pylist() == [0.0]


def test_a_table_of_records_grows(tmp_path):
    """Goal: a file has a column that the lake does not: what was published before has nulls there, to every engine."""
    lake = str(tmp_path / "lake")
    columns = {"celsius": "float64", "note": "text", "count": "int64"}
    expected = []
    for at, more in enumerate([1, 2, 3, 1]):
        path = tmp_path / f"{at}.db"
        with siltstone.open(path) as db:
            sim = db.experiment("heat").create_simulation_context("sim")
            kept = dict(list(columns.items())[:more])
            sim.define_table("temperature", kept)
            for step in range(3):
                row = {"celsius": float(step), "note": f"n{step}", "count": at}
                sim.log("temperature", step=step, **{name: row[name] for name in kept})
                expected.append((float(step), f"n{step}" if more > 1 else None, at if more > 2 else None))
            sim.complete()
        lake_world.publish(path, lake)
    with contextlib.closing(Sail()) as sail:
        sql, table = "SELECT celsius, note, count FROM {}", f"{lake}/temperature"
        found = {
            "deltalake": rows(deltalake.DeltaTable(table).to_pyarrow_table().select(["celsius", "note", "count"])),
            "polars": pl.scan_delta(table).select("celsius", "note", "count").collect().rows(),
            "duckdb": loaded().execute(sql.format(f"delta_scan('{table}')")).fetchall(),
            "sail": rows(sail.session.sql(sql.format(f"delta.`{table}`")).toArrow()),
        }
    for name, got in found.items():
        assert answer(got) == answer(expected), name


def test_values_of_simulations_are_those_of_the_store(tmp_path):
    """Goal: an aggregate over `simulation_updates`, from each engine, is that of the updates which the store gives."""
    path, table = tmp_path / "run.db", f"{tmp_path}/lake/simulation_updates"
    expected = {}
    with siltstone.open(path) as db:
        for time in range(20):
            heat, count = np.arange(5) / 4 + time, np.arange(5, dtype=np.int32) * time
            cells = {"id": {"data": np.arange(5)}, "heat": {"data": heat}, "count": {"data": count}}
            db.simulation.store_update(time, 0, f"area {time % 2}", {"cells": cells})
            for name, values in (("heat", heat), ("count", count)):
                n, total, _ = expected.get((f"area {time % 2}", name), (0, 0, 0))
                expected[f"area {time % 2}", name] = (n + 5, total + values.sum(), time)
        db.publish(str(tmp_path / "lake"))
    sql = """SELECT dataset, attribute, count(*), sum(coalesce(value_float, value_int)), max("timestamp") FROM updates
        WHERE NOT is_cleared AND entity_group = 'cells' GROUP BY dataset, attribute"""
    duck = loaded()
    duck.execute(f"CREATE VIEW updates AS SELECT * FROM delta_scan('{table}')")
    builder = deltalake.QueryBuilder().register("updates", deltalake.DeltaTable(table))
    found = [
        duck.execute(sql).fetchall(),
        pl.SQLContext(updates=pl.scan_delta(table)).execute(sql, eager=True).rows(),
        rows(pa.table(builder.execute(sql).read_all())),
    ]
    for answers in found:
        assert {tuple(row[:2]): tuple(row[2:]) for row in answers} == expected
