"""What is too large for one row is refused at once, by name; what a spreadsheet would run is a text to it."""

import sys

import numpy as np
import pytest

from siltstone.errors import InvalidError, SiltstoneError
from siltstone.experiment import ExperimentDatabase
from siltstone.memory import SQLiteStorage
from siltstone.simulation import SimulationDatabase

resource = pytest.importorskip("resource")


def _peak() -> int:
    """The most bytes of memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_an_array_that_no_row_holds_is_refused_before_it_is_copied(tmp_path):
    """Goal: in every store the error names the location and the limit, and no copy of the array was made."""
    zeros = np.zeros(1_000_000_000, dtype="u1")  # pages that nobody touches take no memory
    before = _peak()
    with SimulationDatabase(tmp_path / "run.db") as db:
        with pytest.raises(InvalidError, match="roads/x.*999934464 bytes"):
            db.store_update(0, 0, "net", {"roads": {"id": {"data": [1]}, "x": {"data": zeros}}})
        assert db.get_timestamps("net") == []
    with ExperimentDatabase(tmp_path / "sweep.db", "exp") as db:
        sim = db.create_simulation_context("one")
        with pytest.raises(InvalidError, match="weights.*999934464 bytes"):
            sim.log_array("weights", zeros, step=0)
    store = SQLiteStorage(tmp_path / "agent.db")
    with pytest.raises(SiltstoneError, match="999934464 bytes"):
        store.store_episode({"seen": zeros}, 0.5, "c")
    with pytest.raises(SiltstoneError, match="999934464 bytes"):
        store.store_concept("a", zeros)
    store.close()
    assert _peak() - before < 500_000_000


def test_a_spreadsheet_runs_no_cell_of_a_table(tmp_path):
    """Goal: asked for, texts of CSV that begin a formula get a quote before them, and numbers stay as they are."""
    with SimulationDatabase(tmp_path / "run.db") as db:
        db.store_update(0, 0, "net", {"roads": {"id": {"data": [1]}, "n": {"data": ["=1+1"]}, "x": {"data": [-5.5]}}})
        table = db.updates_table("net", "roads")
        table.write(tmp_path / "a.csv")
        table.write(tmp_path / "b.csv", escape_formulas=True)
    plain, escaped = ((tmp_path / name).read_text() for name in ("a.csv", "b.csv"))
    assert ",=1+1" in plain and ",'=1+1" in escaped and ",-5.5" in escaped
    assert escaped.replace("'=", "=") == plain
