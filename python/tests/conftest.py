"""What the tests share."""

import os
from pathlib import Path

import pytest

from siltstone.simulation import SimulationDatabase


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


@pytest.fixture
def db(path):
    with SimulationDatabase(path) as db:
        yield db


@pytest.fixture
def shared():
    """The folder of real data beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("SILTSTONE_SHARED", beside))
    if not (folder / "data" / "simulation").is_dir():
        pytest.skip(f"the shared data are not at {folder}")
    return folder


@pytest.fixture
def group():
    """One entity group from its columns."""

    def make(name="g", **columns):
        return {name: {key: {"data": values} for key, values in columns.items()}}

    return make
