"""What files have as datasets of PyArrow, and as tables of DuckDB: with every filter what the whole, filtered, has."""

import datetime as dt

import numpy as np
import pytest
from test_scan import BEGIN, DAY, file, runs, ticks  # noqa: F401

import siltstone
from siltstone.errors import InvalidError
from siltstone.ticks import TickStore

pa = pytest.importorskip("pyarrow")
import pyarrow.compute as pc
import pyarrow.dataset as ds


@pytest.fixture
def duckdb():
    module = pytest.importorskip("duckdb")
    connection = module.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def filters(column, low, high):
    """Conditions on a column, alone and with others."""
    own = pc.field(column)
    yield own >= low
    yield own < high
    yield (own > low) & (own <= high)
    yield pc.scalar(low) < own
    yield own == low
    yield own != low
    yield own.isin([low, high])
    yield (own < low) | (own > high)
    yield ~(own >= low)
    yield (own > high) & (own < low)
    yield own.is_valid() & (own >= high)
    yield own.is_null()
    yield (own == low) | pc.scalar(False)
    if isinstance(low, int):
        yield own > low + 0.5
        yield (own <= float("inf")) & (own < high)


def same(made, condition, columns):
    """A filtered dataset is the whole, filtered; with some columns too."""
    whole = made.to_table()
    assert made.to_table([]).num_rows == len(whole)
    wanted = whole.filter(condition)
    assert made.to_table(filter=condition).equals(wanted)
    assert made.to_table(columns, filter=condition).equals(wanted.select(columns))
    assert made.to_table([], filter=condition).num_rows == len(wanted)
    assert made.count_rows(filter=condition) == len(wanted)


def test_ticks_are_filtered_by_time_and_symbol(ticks):  # noqa: F811
    made = siltstone.scan_ticks(ticks, library="pyarrow")
    assert made.count_rows() == 4_000
    low = dt.datetime(2024, 1, 2, 5, 30, tzinfo=dt.timezone.utc)
    exact = made.to_table(["time"])["time"][1_234]  # to the ns
    for ends in ((low, low + dt.timedelta(hours=7)), (exact, pa.scalar(BEGIN + 2 * DAY, exact.type))):
        for condition in filters("time", *ends):
            same(made, condition, ["bid"])
            same(made, condition & (pc.field("symbol") == "GBPUSD"), ["symbol", "ask"])
    for symbol in ("EURUSD", "none"):
        same(made, pc.field("symbol") == symbol, ["time"])
    one = siltstone.scan_ticks(ticks, "EURUSD", library="pyarrow")
    same(one, pc.field("symbol") == "GBPUSD", ["time"])
    assert one.count_rows() == 2_000


def test_records_states_and_series_are_filtered_by_their_order(runs, file):  # noqa: F811
    records = siltstone.scan_records(runs, "simulation_metrics", library="pyarrow")
    for condition in filters(records.schema.names[1], 10, 20):
        same(records, condition, ["value", "simulation_id"])
        same(records, condition & (pc.field("simulation_id") == "run_1") & (pc.field("name") == "loss"), ["value"])
    states = siltstone.scan_states(file, "net", "roads", library="pyarrow")
    for condition in filters("timestamp", 7, 20):
        same(states, condition, ["speed"])
    at = dt.datetime(2024, 1, 1, 5, tzinfo=dt.timezone.utc)
    times = (at, at + dt.timedelta(hours=2))
    for key, ends in {"level": times, "counts": (101, 900), "Europe/Paris": times, "America/New_York": times}.items():
        series = siltstone.scan_series(file, key, library="pyarrow")
        for condition in filters(series.schema.names[0], *ends):
            same(series, condition, [series.schema.names[1]])


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the store of ticks, and how many columns come from it."""
    found = []
    scan = TickStore.scan
    monkeypatch.setattr(TickStore, "scan", lambda self, *given: found.append(given) or scan(self, *given))
    return found


def test_duckdb_reads_only_the_days_and_symbols_of_its_query(ticks, duckdb, asked):  # noqa: F811
    table = siltstone.scan_ticks(ticks, library="pyarrow")
    whole = table.to_table().to_pandas()
    sql = (
        "SELECT count(*), sum(bid) FROM table WHERE symbol {} AND time >= '2024-01-02' AND time < '2024-01-03 12:00:00'"
    )
    within = (whole["time"] >= "2024-01-02") & (whole["time"] < "2024-01-03 12:00:00")
    for condition, names in (("= 'EURUSD'", ["EURUSD"]), ("IN ('GBPUSD', 'none')", ["GBPUSD"]), ("= 'none'", [])):
        wanted = whole[within & whole["symbol"].isin(names)]
        n, total = duckdb.execute(sql.format(condition).replace(" table ", ' "table" ')).fetchone()
        assert n == len(wanted) and (total or 0) == pytest.approx(wanted["bid"].sum())
        if condition.startswith("="):  # what DuckDB hands on
            assert asked[-1] == (names, BEGIN + DAY, BEGIN + 2 * DAY + DAY // 2 - 1)


def test_duckdb_joins_and_groups_what_several_stores_have(runs, file, duckdb):  # noqa: F811
    duckdb.register("records", siltstone.scan_records(runs, "simulation_metrics", library="pyarrow"))
    duckdb.register("states", siltstone.scan_states(file, "net", "roads", library="pyarrow"))
    found = duckdb.execute(
        """SELECT r.simulation_id, sum(s.speed * r.value) FROM records r JOIN states s ON s.timestamp = r.step_number
        WHERE r.name = 'loss' AND s.id = 1 AND r.step_number < 10 GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    wanted = [sum((1 + t / 4) * (n + t / 50) for t in range(0, 10, 2)) for n in range(3)]
    assert [id for id, _ in found] == ["run_0", "run_1", "run_2"]
    np.testing.assert_allclose([total for _, total in found], wanted)


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York"])
def test_duckdb_filters_a_series_of_any_zone_by_its_instants(file, duckdb, zone):  # noqa: F811
    made = siltstone.scan_series(file, zone, library="pyarrow")
    duckdb.register("level", made)
    for op, wanted in {"<=": 301, "<": 300, ">": 699, ">=": 700, "=": 1}.items():
        sql = f"SELECT count(*) FROM level WHERE \"{made.schema.names[0]}\" {op} '2024-01-01 05:00:00+00'"
        assert duckdb.execute(sql).fetchone() == (wanted,)


def test_what_a_dataset_of_files_has_beside_is_refused(ticks):  # noqa: F811
    made = siltstone.scan_ticks(ticks, library="pyarrow")
    assert isinstance(made, ds.Dataset) and made.head(3).num_rows == 3
    for call in (made.get_fragments, lambda: made.filter(pc.field("bid") > 1), lambda: made.partition_expression):
        with pytest.raises(NotImplementedError, match="a dataset of a store has no files"):
            call()
    with pytest.raises(InvalidError, match="library: expected 'polars' or 'pyarrow', got 'duckdb'"):
        siltstone.scan_ticks(ticks, library="duckdb")
