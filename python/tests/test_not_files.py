"""Pipes in the places of files."""

import faulthandler
import os
import sys

import pytest

from siltstone import errors, experiment, restore, series
from siltstone.memory import SQLiteStorage, SQLiteStorageError
from siltstone.simulation import SimulationDatabase

READERS = {
    "simulation": lambda pipe: SimulationDatabase(pipe, read_only=True),
    "simulation, writing": SimulationDatabase,
    "experiment": lambda pipe: experiment.ExperimentDatabase(pipe, read_only=True),
    "memory": lambda pipe: SQLiteStorage(pipe, read_only=True),
    "series": lambda pipe: series.open(f"sqlite:///{pipe}"),
    "restore": lambda pipe: restore(pipe, pipe.with_name("new.db")),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in the file system")
@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_for_a_pipe(name, tmp_path):
    """Goal: a pipe in a file's place is an error that says so; nobody waits for somebody who writes."""
    pipe = tmp_path / "x.db"
    os.mkfifo(pipe)
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        with pytest.raises((errors.SiltstoneError, SQLiteStorageError, ValueError), match="a pipe"):
            READERS[name](pipe)
    finally:
        faulthandler.cancel_dump_traceback_later()
