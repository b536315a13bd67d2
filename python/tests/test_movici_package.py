"""movici-simulation-core itself on our files, where it is installed. It is no dependency of the tests."""

from pathlib import Path

import numpy as np
import pytest

schema = pytest.importorskip("movici_simulation_core.storage.sqlite_schema")
postprocessing = pytest.importorskip("movici_simulation_core.postprocessing")

from siltstone.simulation import SimulationDatabase, SQLiteStorageStrategy

INPUTS = Path(__file__).resolve().parents[2] / "tests" / "pages"


@pytest.fixture
def flood(tmp_path: Path) -> Path:
    """A file of ours, out of movici's JSON."""
    path = tmp_path / "flood.db"
    with SimulationDatabase(path) as db:
        db.import_json(init_dir=INPUTS / "init_data", updates_dir=INPUTS / "scenarios" / "flood")
    return path


def test_its_database_reads_our_file(flood: Path) -> None:
    """Goal: updates come out of movici's class as they come out of ours."""
    theirs, ours = schema.SimulationDatabase(flood), SimulationDatabase(flood, read_only=True)
    assert theirs.get_datasets() == ours.get_datasets() == ["town"]
    assert theirs.get_timestamps("town") == ours.get_timestamps("town") == [0, 600, 1200]
    for one, other in zip(theirs.get_dataset_updates("town"), ours.get_dataset_updates("town"), strict=True):
        assert one["timestamp"] == other["timestamp"]
        assert one["pipes"].keys() == other["pipes"].keys()
        for name, values in one["pipes"].items():
            np.testing.assert_array_equal(values["data"], other["pipes"][name]["data"])
    theirs.close()


@pytest.mark.filterwarnings("ignore:Inferring datatype")
def test_its_results_read_our_file(flood: Path) -> None:
    """Goal: a state is the same in movici's reader."""
    with postprocessing.SQLiteSimulationResults(flood) as results:
        state = results.get_dataset("town").slice("pipes", timestamp=600)
    assert state["flow"]["data"].tolist() == [0.5, 1.5, 0.75]


def test_its_collector_takes_our_strategy(tmp_path: Path) -> None:
    """Goal: movici's collector finds our strategy by its own settings, and what it stores is in our file."""
    collector = pytest.importorskip("movici_simulation_core.models.data_collector.data_collector")
    settings = pytest.importorskip("movici_simulation_core.settings").Settings(
        storage="sqlite", storage_dir=tmp_path, data_dir=INPUTS / "init_data"
    )
    before = dict(collector.DataCollector.strategies)
    try:
        collector.DataCollector.add_storage_strategy("sqlite", SQLiteStorageStrategy)
        model = collector.DataCollector({"gather_filter": "*", "aggregate_updates": False})
        strategy = model.get_storage_strategy(settings, None)
        assert isinstance(strategy, SQLiteStorageStrategy)
        strategy.initialize()
        flow = {"id": {"data": np.array([1])}, "flow": {"data": np.array([2.5])}}
        strategy.store(collector.UpdateInfo("town", 0, 0, {"pipes": flow}))
        strategy.close()
    finally:
        collector.DataCollector.strategies = before
    with SimulationDatabase(tmp_path / "simulation_results.db", read_only=True) as db:
        assert db.get_update_count() == 1
        assert db.state_at("town", "pipes", 0)["flow"]["data"][0] == 2.5
