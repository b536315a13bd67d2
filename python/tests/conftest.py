"""What the tests share."""

import os
import shutil
from pathlib import Path

# Keras is imported with what the tests install for it.
os.environ.setdefault("KERAS_BACKEND", "jax")

import pytest
from viewing import browser, context, demo, page, serve  # noqa: F401

from siltstone.simulation import SimulationDatabase
from siltstone.ticks import TickStore, TickStoreConfig


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.db"


@pytest.fixture
def db(path):
    with SimulationDatabase(path) as db:
        yield db


@pytest.fixture(scope="session")
def shared():
    """The folder of real data beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("SILTSTONE_SHARED", beside))
    if not (folder / "data" / "simulation").is_dir():
        pytest.skip(f"the shared data are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def silt():
    """The command: what cargo built of this repository, or the one on the path."""
    root = Path(__file__).resolve().parents[2]
    targets = [Path(os.environ.get("CARGO_TARGET_DIR", root / "target")), root / "target"]
    built = (shutil.which("silt", path=target / "debug") for target in targets)
    found = next(filter(None, built), shutil.which("silt"))
    if found is None:
        pytest.skip("the command silt is not built (cargo build -p siltstone-cli), and not on the path")
    return found


@pytest.fixture
def group():
    """One entity group from its columns."""

    def make(name="g", **columns):
        return {name: {key: {"data": values} for key, values in columns.items()}}

    return make


@pytest.fixture
def base(tmp_path):
    """A folder for day files, which is not there yet."""
    return tmp_path / "db"


@pytest.fixture
def make(base):
    """Makes stores of ticks; they are stopped at the end."""
    stores = []

    def make(**options):
        options = {"sqlite_base_path": base} | options
        stores.append(TickStore(TickStoreConfig.production("BROKER-001", **options)))
        return stores[-1]

    yield make
    for store in stores:
        store.stop()


@pytest.fixture
def store(make):
    """A store of ticks."""
    return make()
