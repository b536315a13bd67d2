"""Publishing to a lake."""

import json
import socket
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import siltstone
from siltstone.memory import SQLiteStorage


def test_a_file_is_published_once(tmp_path: Path) -> None:
    """Goal: what is published is there with its numbers, and a second call sends nothing."""
    lake = tmp_path / "lake"
    memory = SQLiteStorage(tmp_path / "agent.db")
    embeddings = [np.array([n, 0.5], np.float32) for n in range(3)]
    for n, embedding in enumerate(embeddings):
        memory.store_concept(f"concept {n}", embedding)
    memory.close()
    with siltstone.open(tmp_path / "agent.db") as db:
        done = db.publish(str(lake))
        assert set(done) == {"concepts"}
        assert (done["concepts"].rows, done["concepts"].commits) == (3, 1)
        assert db.publish(str(lake)) == {}
        with pytest.raises(siltstone.errors.NotFoundError, match="concept"):
            db.publish(str(lake), tables=["concept"])
    log = (lake / "concepts/_delta_log/00000000000000000000.json").read_text().splitlines()
    adds = [action["add"] for action in map(json.loads, log) if "add" in action]
    table = pq.read_table(lake / "concepts" / adds[0]["path"], partitioning=None)
    assert table["embedding"].to_pylist() == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]


def test_a_lake_is_looked_at_and_brought_back(tmp_path: Path) -> None:
    """Goal: `siltstone.lake` says what there is, finds what differs, removes what no table has, and gives rows back."""
    address = tmp_path / "lake"
    with siltstone.open(tmp_path / "agent.db") as db:
        for n in range(3):
            db.memory.store_concept(f"concept {n}", [n, 0.5])
        db.publish(str(address))
    lake = siltstone.lake(address)
    assert repr(lake) == f"siltstone.lake({str(address)!r})"
    table = lake.tables()["concepts"]
    assert (table.version, table.files, table.rows) == (0, 1, 3)
    (sender,) = table.senders.values()
    assert (sender.commits, sender.rows, sender.host, sender.file) == (1, 3, socket.gethostname(), "agent.db")
    assert lake.verify().rows == {"concepts": 3}
    assert lake.verify(tmp_path / "agent.db").ok
    with siltstone.open(tmp_path / "agent.db") as db:
        db.memory.store_concept("concept 3", [3, 0.5])
        assert [what for _, what in lake.verify(tmp_path / "agent.db").findings] != []
        db.publish(str(address))
    unused = lake.vacuum(timedelta(0), no_senders=True, dry_run=True)
    assert len(unused.files) == 1
    assert unused.bytes > 0
    with pytest.raises(siltstone.errors.InvalidError, match="two days"):
        lake.vacuum(timedelta(hours=1))
    with pytest.raises(siltstone.errors.InvalidError, match="negative"):
        lake.vacuum(timedelta(-1))
    assert lake.pull(tmp_path / "copy.db", where={"name": "concept 3"}) == {"concepts": 1}
    with pytest.raises(siltstone.errors.ExistsError):
        lake.pull(tmp_path / "copy.db")
    with pytest.raises(siltstone.errors.NotFoundError):
        siltstone.lake(tmp_path / "none").tables()
    assert not (tmp_path / "none").exists()
    (store,) = table.senders
    assert lake.remove(store, dry_run=True) == lake.remove(store) == {"concepts": 1}
    assert lake.tables()["concepts"].senders[store].rows == 0
    with pytest.raises(siltstone.errors.NotFoundError, match="silt lake ls"):
        lake.remove(store)
    with siltstone.open(tmp_path / "agent.db") as db:
        with pytest.raises(siltstone.errors.InvalidError, match="removed from the lake"):
            db.publish(str(address))
        assert db.publish(str(address), rebuild_ledger=True)["concepts"].rows == 4
    for file in address.glob("concepts/store_id=*/*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    assert not lake.verify().ok


def test_a_table_of_a_lake_is_a_frame(tmp_path: Path) -> None:
    """Goal: a table is read by Polars and as Arrow, of now and of a version before."""
    pytest.importorskip("deltalake", reason="deltalake is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    lake = siltstone.lake(tmp_path / "lake")
    with siltstone.open(tmp_path / "agent.db") as db:
        for n in range(2):
            db.memory.store_concept(f"concept {n}", [n, 0.5])
            db.publish(lake.address)
    names = lake.scan("concepts").select(polars.col("name").sort()).collect()
    assert names["name"].to_list() == ["concept 0", "concept 1"]
    assert lake.scan("concepts", version=0).collect().height == 1
    assert lake.to_arrow("concepts", ["id"]).num_rows == 2
    assert lake.to_arrow("concepts", version=0)["name"].to_pylist() == ["concept 0"]


def test_a_server_is_no_lake_of_files() -> None:
    """Goal: what a PostgreSQL server does not have is refused by what to do, before anything is reached."""
    lake = siltstone.lake("postgresql://me@nowhere.invalid/plant")
    for call in (lake.scan, lake.to_arrow):
        with pytest.raises(siltstone.errors.InvalidError, match=r"siltstone\.runs in SQL"):
            call("runs")
    for call in (lake.vacuum, lambda: lake.pull("copy.db")):
        with pytest.raises(siltstone.errors.InvalidError, match="PostgreSQL server, which is published to"):
            call()


def test_states_are_published_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    """Goal: states at chosen times are a table, and the report counts what publishing leaves out."""
    with siltstone.open(tmp_path / "run.db") as db:
        for time in (5, 15):
            db.simulation.store_update(time, 0, "grid", {"cells": {"id": {"data": [1]}, "heat": {"data": [0.5]}}})
        done = db.publish(str(tmp_path / "lake"), states_every=10, state_times=[15])
        assert (done["simulation_states"].rows, done["simulation_updates"].rows) == (2, 2)
        assert done.not_published == {}
        assert db.publish(str(tmp_path / "lake")) == {}
