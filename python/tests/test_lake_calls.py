"""Calls of the stores on a lake: the answers of the files that published it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from lake_world import DAY_NS, FIRST_NS, publish, store_id

import siltstone
from siltstone.errors import InvalidError, NotFoundError
from siltstone.experiment import ExperimentDatabase
from siltstone.ticks import TickStore, TickStoreConfig

pytest.importorskip("deltalake", reason="deltalake is not installed")
pytest.importorskip("polars", reason="polars is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")


def digest(table) -> str:
    """A hash of all that a table is: names, types, and every bit of its rows."""
    table = pa.table(table).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def digest_series(series) -> str:
    index = series.index
    facts = (series.name, series.dtype, index.dtype, index.name, getattr(index, "freqstr", None), list(index.names))
    hashed = hashlib.sha256(repr(facts).encode())
    hashed.update(repr(index.tolist()).encode())
    is_plain = isinstance(series.dtype, np.dtype) and series.dtype != object
    hashed.update(series.to_numpy().tobytes() if is_plain else repr(series.tolist()).encode())
    return hashed.hexdigest()


def test_bars_are_those_of_the_folders(tmp_path: Path) -> None:
    """Goal: bars over a lake of two folders, sent whole and in pieces, are bit for bit those of the folder that has the
    ticks, late ticks and ticks of one time among them.
    """
    lake = siltstone.lake(tmp_path / "lake")
    rng = np.random.default_rng(7)
    for site, symbols in enumerate((["EURUSD", "GBPUSD"], ["XAUUSD"])):
        folder = tmp_path / f"site{site}"
        for part in range(2):
            with TickStore(TickStoreConfig.production(f"B{site}", sqlite_base_path=folder)) as store:
                for symbol in symbols:
                    times = FIRST_NS + np.sort(rng.integers(0, 3 * DAY_NS, 4_000)) // 10**9 * 10**9
                    bid = rng.random(4_000)
                    store.store_ticks(symbol, times, bid, bid + rng.random(4_000))
            publish(folder, lake.address, live=part == 0)
    hour, minute = "1h", 60 * 10**9
    first, last = FIRST_NS + DAY_NS // 3, FIRST_NS + DAY_NS + 12_345
    calls = [
        ("EURUSD", hour),
        ("EURUSD", "1d", None, last, "bid", 3 * 10**9),
        ("GBPUSD", minute, first, last, "ask", 0, "previous"),
        ("XAUUSD", "7min", first, None, "mid", 0, "empty"),
        ("XAUUSD", hour, FIRST_NS + 9 * DAY_NS),
    ]
    for call in calls:
        with siltstone.open(tmp_path / ("site1" if call[0] == "XAUUSD" else "site0"), read_only=True) as db:
            own = db.ticks.ohlc(*call)
        found = lake.ohlc(*call)
        assert digest(found) == digest(own), call
        assert (len(found) > 0) == (len(call) != 3), call
    with pytest.raises(NotFoundError, match="NOSUCH"):
        lake.ohlc("NOSUCH", hour)


def test_a_symbol_that_two_folders_have_is_refused_on_one_day_and_joined_on_others(tmp_path: Path) -> None:
    """Goal: no tick counts twice because two machines heard it; `store` says whose counts."""
    lake = siltstone.lake(tmp_path / "lake")
    stores = []
    for site, days in enumerate(([0, 1], [1, 2])):
        with TickStore(TickStoreConfig.production("B", sqlite_base_path=tmp_path / f"site{site}")) as store:
            for day in days:
                store.store_ticks(
                    "EURUSD", FIRST_NS + day * DAY_NS + np.arange(5), np.arange(5.0), np.arange(5.0) + site
                )
        publish(tmp_path / f"site{site}", lake.address)
        stores.append(store_id(tmp_path / f"site{site}"))
    with pytest.raises(InvalidError, match=r"ticks of EURUSD on 2026-03-03: .*store="):
        lake.ohlc("EURUSD", "1d")
    assert [int(n) for n in lake.ohlc("EURUSD", "1d", store=stores[0]).volume] == [5, 5]
    first = lake.ohlc("EURUSD", "1d", None, FIRST_NS + DAY_NS - 1)
    last = lake.ohlc("EURUSD", "1d", FIRST_NS + 2 * DAY_NS)
    assert [list(bars.close) for bars in (first, last)] == [[4.0], [4.5]]


def world_of_series() -> dict[str, pd.Series]:
    rng = np.random.default_rng(3)
    times = pd.date_range("2023-11-01", periods=30_000, freq="41min", tz="Europe/Amsterdam", name="at")
    twice = pd.DatetimeIndex(np.repeat(pd.date_range("2024-01-01", periods=50, freq="h"), 2))
    return {
        "plant/flow": pd.Series(rng.random(30_000), times, name="flow"),
        "plant/level": pd.Series(
            rng.integers(0, 9, 400), pd.date_range("2024-12-30", periods=400, freq="12h", unit="s")
        ),
        "plant/state": pd.Series(pd.Categorical(["on", "off"] * 50), twice, name="state"),
        "disorder": pd.Series([1.5, np.nan, -0.0], pd.to_datetime(["2024-05-01", "2023-05-01", "2024-01-01"])),
        "numbers": pd.Series([True, False, True], pd.RangeIndex(4, 10, 2)),
        "names": pd.Series([2**63, 1], ["a", "b"], dtype="uint64"),
        "spans": pd.Series(["x", None, "z"], pd.to_timedelta([1, 2, 3], unit="h"), dtype="string"),
    }


@pytest.mark.parametrize("live", [False, True])
def test_ranges_of_series_are_those_of_the_file(tmp_path: Path, live: bool) -> None:
    """Goal: a range of a series of any kind over a lake is, bit for bit, that of its file."""
    lake = siltstone.lake(tmp_path / "lake")
    with siltstone.open(tmp_path / "plant.db") as db:
        for key, series in world_of_series().items():
            db.series.save(series, key, {"unit": "m"})
        db.publish(lake.address, live=live)
        flow = world_of_series()["plant/flow"].index
        ranges = {
            "plant/flow": [
                (),
                ("2024-02", "2024-03-05"),
                ("2024-12-31 22:00", None, "left"),
                (None, "2023-11-02", "neither"),
                (flow[1_000], flow[2_000]),
                (flow[1_000], flow[2_000], "neither"),
            ],
            "plant/level": [(), ("2025", "2025"), ("2024-12-31", "2025-01-01 12:00", "right"), ("2031", "2032")],
            "plant/state": [(), ("2024-01-02", "2024-01-02")],
            "disorder": [(), ("2024-01-01", "2024-12-31")],
            "numbers": [(), (5, 8)],
            "names": [(), ("a", "a")],
            "spans": [(), (pd.Timedelta("2h"), None)],
        }
        for key, calls in ranges.items():
            for call in calls:
                own, found = db.series.load_range(key, *call), lake.load_range(key, *call)
                pd.testing.assert_series_equal(found, own)
                assert digest_series(found) == digest_series(own), (key, call)
    with pytest.raises(NotFoundError, match="plant/nothing"):
        lake.load_range("plant/nothing")
    with siltstone.open(tmp_path / "other.db") as db:
        db.series.save(pd.Series([1.0]), "numbers", {})
        db.publish(lake.address)
    with pytest.raises(InvalidError, match=r"'numbers'.*store="):
        lake.load_range("numbers")
    assert len(lake.load_range("numbers", store=store_id(tmp_path / "plant.db"))) == 3


def test_only_the_years_and_the_bucket_of_a_range_are_read(tmp_path: Path, monkeypatch) -> None:
    """Goal: of ten years of forty series, a range of one reads the file of its bucket and year alone."""
    lake = siltstone.lake(tmp_path / "lake")
    with siltstone.open(tmp_path / "plant.db") as db:
        for n in range(40):
            db.series.save(pd.Series(np.arange(20.0), pd.date_range("2010-01-01", periods=20, freq="6MS")), f"s{n}", {})
        db.publish(lake.address)
    read = []
    scan = siltstone._lake.Lake.scan

    def removed(self, table):
        for file in sorted((tmp_path / "lake" / table).glob("**/*.parquet")):
            if table == "series_points" and f"key_bucket={bucket}/year=2012" not in str(file):
                read.append(file)
                file.write_bytes(b"")
        return scan(self, table)

    bucket = siltstone._siltstone.lake_bucket("s7")
    monkeypatch.setattr(siltstone._lake.Lake, "scan", removed)
    assert lake.load_range("s7", "2012-01", "2012-12").tolist() == [4.0, 5.0]
    assert len(read) > 70


def test_runs_of_all_files_are_compared_as_each_file_does_it(tmp_path: Path) -> None:
    """Goal: a comparison over a lake has the rows of each file, bit for bit, and nulls where a file has no such metric.

    The sums of these numbers are exact in any order: others may differ in their last bits.
    """
    lake = siltstone.lake(tmp_path / "lake")
    rng = np.random.default_rng(11)

    def number() -> float:
        return float(rng.integers(-(2**20), 2**20)) / 2**10

    paths = [tmp_path / f"{name}.db" for name in ("ant", "bee")]
    for n, path in enumerate(paths):
        with ExperimentDatabase(path, "sweep") as db:
            for run in range(20):
                with db.create_simulation_context(f"run {run}", {"rate": run / 10}) as sim:
                    sim.define_table("temperature", {"celsius": "float64"})
                    for step in range(int(rng.integers(1, 40))):
                        sim.log_metrics({"loss": number(), **({"gain": number()} if n else {})}, step)
                        sim.log_step(step, metrics={"total_agents": int(rng.integers(0, 99)), "births": step})
                        sim.log("temperature", step=step, celsius=[number(), number()])
        publish(path, lake.address)
    stores = [store_id(path) for path in paths]
    for at in ("final", "mean", "min", "max", "sum", "count", 3):
        for chosen in (None, "params.rate > 0.55", ["run 3", "run 4"]):
            metrics = ["loss", "total_agents", "temperature.celsius"]
            found = lake.compare(chosen, metrics, at)
            for path, store in zip(paths, stores, strict=True):
                with siltstone.open(path, read_only=True) as db:
                    own = pa.table(db.experiment().compare(chosen, metrics, at))
                rows = found.filter(pa.compute.equal(found["store_id"], store)).drop_columns("store_id")
                assert digest(rows.cast(own.schema)) == digest(own), (at, chosen)
                assert digest(
                    lake.compare(chosen, metrics, at, store=store).drop_columns("store_id").cast(own.schema)
                ) == (digest(own))
    gain = lake.compare(metric="gain")
    assert gain["gain"].null_count == 20
    assert gain.filter(pa.compute.is_valid(gain["gain"]))["store_id"].unique().to_pylist() == [stores[1]]
    for call in ({"metric": "losss"}, {"simulation_ids": ["run 3", "run 77"], "metric": "loss"}):
        with pytest.raises(NotFoundError):
            lake.compare(**call)


def test_a_comparison_keeps_the_order_of_ids_and_forgives_other_parameters(tmp_path: Path) -> None:
    """Goal: ids come as they were given, as from the file; a file without the parameter of a filter has no run, and a
    parameter that no file has is refused.
    """
    lake = siltstone.lake(tmp_path / "lake")
    for name, parameter in (("ant", "rate"), ("bee", "speed")):
        with ExperimentDatabase(tmp_path / f"{name}.db", "sweep") as db:
            for run in range(3):
                with db.create_simulation_context(f"{name}{run}", {parameter: run / 10}) as sim:
                    sim.log_metric("loss", run, step=0)
        publish(tmp_path / f"{name}.db", lake.address)

    def ids(chosen) -> list[str]:
        return lake.compare(chosen, "loss")["simulation_id"].to_pylist()

    assert ids(["ant1", "ant0", "ant1"]) == ["ant1", "ant0", "ant1"]
    assert ids("params.rate > 0.05") == ["ant1", "ant2"]
    with pytest.raises(InvalidError, match=r"params\.sped"):
        ids("params.sped > 1")


def test_points_that_are_not_in_the_lake_are_told(tmp_path: Path) -> None:
    """Goal: where the table of points lacks some, or is not there, a range is refused and not answered with less."""
    lake = siltstone.lake(tmp_path / "lake")
    with siltstone.open(tmp_path / "plant.db") as db:
        db.series.save(pd.Series([1.0, 2.0], pd.date_range("2020-01-01", periods=2, freq="D")), "flow", {})
        db.publish(lake.address, tables=["series"])
        with pytest.raises(NotFoundError, match="series_points"):
            lake.load_range("flow")
        db.publish(lake.address)
        assert len(lake.load_range("flow")) == 2
        db.series.append("flow", pd.Series([3.0], pd.date_range("2020-01-03", periods=1, freq="D")))
        db.publish(lake.address, tables=["series"])
        with pytest.raises(InvalidError, match="expected 3 points, got 2"):
            lake.load_range("flow")
    with pytest.raises(NotFoundError, match="'ticks'"):
        lake.ohlc("EURUSD", "1h")
