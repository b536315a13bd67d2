"""Publishing to a lake."""

import json
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
