"""The Python snippets of the description, with only their import lines changed.

Where the description says `movici_simulation_core...`, here it says `siltstone.simulation`. Everything
else is as it stands there, with three exceptions that are needed by others, not by us:

- `update` is a keyword of SQL: as a table's name it must be quoted, `"update"`.
- SQLAlchemy 2 takes a text only as `sqlalchemy.text(...)`.
- The snippets name files that do not exist: each test makes them in an empty working directory.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from siltstone.simulation import (
    DataCollector,
    Settings,
    Simulation,
    SimulationDatabase,
    SimulationResults,
    SQLiteSimulationResults,
    get_simulation_results,
)

INITIAL = {
    "name": "transport_network",
    "type": "transport",
    "data": {"road_segments": {"id": [1, 2, 3], "speed": [80.0, 80.0, None]}},
}
UPDATES = {
    "t0_0_transport_network.json": {"id": [1, 2, 3], "speed": [50.0, 60.0, 40.0]},
    "t10_0_transport_network.json": {"id": [2], "speed": [55.0]},
    "t10_1_transport_network.json": {"id": [3], "speed": [45.0]},
}


@pytest.fixture(autouse=True)
def small_run(tmp_path, monkeypatch):
    """An empty folder with the data that the snippets name."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "init_data", "old_results/init"):
        Path(folder).mkdir(parents=True)
        Path(folder, "transport_network.json").write_text(json.dumps(INITIAL))
    for folder in ("scenario/updates", "old_results/updates"):
        Path(folder).mkdir(parents=True)
        for name, group in UPDATES.items():
            text = json.dumps({"transport_network": {"road_segments": group}})
            Path(folder, name).write_text(text)
    for path in ("results/simulation.db", "simulation.db"):
        Path(path).parent.mkdir(exist_ok=True)
        with SimulationDatabase(path) as db:
            db.import_json(updates_dir="scenario/updates")


class Traffic:
    """A model, so that there is something to collect."""

    def update(self, timestamp, world):
        now = world.state("transport_network", "road_segments")
        speed = np.nan_to_num(now["speed"]["data"]) + 1
        data = {"road_segments": {"id": {"data": now.ids}, "speed": {"data": speed}}}
        return {"transport_network": data}, timestamp + 10 if timestamp < 20 else None


def test_option_1_settings():
    """Goal: "This creates: ./results/simulation_results.db"."""
    settings = Settings(
        storage="sqlite",           # Enable SQLite storage
        storage_dir="./results"     # Directory for database file
    )  # fmt: skip

    sim = Simulation(data_dir="./data", settings=settings)

    sim.add_model("data_collector", {
        "gather_filter": "*",
        "aggregate_updates": False
    })  # fmt: skip

    sim.add_model("traffic", Traffic())
    sim.run()
    with SimulationDatabase("./results/simulation_results.db", read_only=True) as db:
        assert db.get_timestamps("transport_network") == [0, 10, 20]
        assert db.get_initial_dataset("transport_network") == INITIAL


def test_option_2_model_configuration():
    """Goal: an explicit path goes before the settings."""
    sim = Simulation(data_dir="./data", settings=Settings(storage_dir="./elsewhere"))

    sim.add_model("data_collector", {
        "gather_filter": "*",
        "database_path": "./results/my_simulation.db"  # Explicit path
    })  # fmt: skip

    sim.add_model("traffic", Traffic())
    sim.run()
    assert Path("./results/my_simulation.db").is_file() and not Path("elsewhere").exists()


def test_switching_from_json_to_sqlite():
    """Goal: both forms of the table record the same run."""
    # Before (JSON):
    settings = Settings(storage="disk")
    model_config = {"storage_dir": "./json_results"}
    record(settings, model_config)

    # After (SQLite):
    settings = Settings(storage="sqlite")
    model_config = {"database_path": "./results/switched.db"}
    record(settings, model_config)

    names = sorted(path.name for path in Path("json_results").iterdir())
    assert names == [f"t{t}_0_transport_network.json" for t in (0, 10, 20)]
    states = [
        get_simulation_results(Path("data"), Path(path)).get_dataset("transport_network")
        .slice("road_segments", timestamp=10)["speed"]["data"].tolist()
        for path in ("json_results", "results/switched.db")
    ]  # fmt: skip
    assert states[0] == states[1] == [82.0, 82.0, 2.0]


def record(settings, model_config):
    sim = Simulation(data_dir="./data", settings=settings)
    sim.add_model("data_collector", model_config)
    sim.add_model("traffic", Traffic())
    sim.run()


def test_using_the_simulation_database_api():
    """Goal: the calls and the shapes of the comments."""
    # Open database
    db = SimulationDatabase("./results/simulation.db")

    # Get all datasets
    datasets = db.get_datasets()
    assert datasets == ["transport_network"]

    # Get timestamps for a dataset
    timestamps = db.get_timestamps("transport_network")
    assert timestamps == [0, 10]

    # Get all updates for a dataset (in chronological order)
    updates = db.get_dataset_updates("transport_network")
    first = updates[0]
    assert (first["timestamp"], first["iteration"]) == (0, 0)
    assert first["road_segments"]["id"]["data"].tolist() == [1, 2, 3]
    assert first["road_segments"]["speed"]["data"].tolist() == [50.0, 60.0, 40.0]

    # Get statistics
    total_updates = db.get_update_count()
    dataset_updates = db.get_update_count("transport_network")
    assert total_updates == dataset_updates == 3


def test_direct_sql_queries(capsys):
    """Goal: a user's own SQL runs, through SQLAlchemy and Python's own sqlite3 in this process."""
    pytest.importorskip("sqlalchemy")
    from sqlalchemy import create_engine, text

    engine = create_engine("sqlite:///./results/simulation.db")

    with engine.connect() as conn:
        # Get all timestamps
        result = conn.execute(text('SELECT DISTINCT timestamp FROM "update" ORDER BY timestamp'))
        timestamps = [row[0] for row in result]

        # Count updates per dataset
        result = conn.execute(
            text("""
            SELECT dataset_name, COUNT(*)
            FROM "update"
            GROUP BY dataset_name
        """)
        )
        for dataset, count in result:
            print(f"{dataset}: {count} updates")

    assert timestamps == [0, 10] and capsys.readouterr().out == "transport_network: 3 updates\n"
    # The documented join from an update to the bytes of an array.
    with engine.connect() as conn:
        rows = conn.execute(text("""
            SELECT n.dtype, n.shape, n.data FROM "update" u
            JOIN update_attribute ua ON ua.update_id = u.id
            JOIN attribute_data a ON a.id = ua.attribute_data_id
            JOIN numpy_array n ON n.id = a.data_id
            WHERE u.timestamp = 0 AND a.entity_group = 'road_segments' AND a.attribute_name = 'speed'
        """)).all()  # fmt: skip
    ((dtype, shape, data),) = rows
    array = np.frombuffer(data, dtype).reshape(json.loads(shape))
    assert array.tolist() == [50.0, 60.0, 40.0]
    engine.dispose()


@pytest.mark.parametrize("updates_path", ["./scenario/updates", "./simulation.db"])
def test_automatic_format_detection(updates_path):
    """Goal: "Can be directory or .db file"."""
    # Automatically detects format (SQLite or JSON)
    results = get_simulation_results(
        init_data_dir=Path("./init_data"),
        updates_path=Path(updates_path)  # Can be directory or .db file
    )  # fmt: skip

    dataset = results.get_dataset("transport_network")
    assert dataset.slice("road_segments", timestamp=10)["speed"]["data"].tolist() == [50, 55, 45]
    assert dataset.slice("road_segments", timestamp=-1)["speed"]["mask"].tolist() == [
        False,
        False,
        True,
    ]
    kind = SQLiteSimulationResults if updates_path.endswith(".db") else SimulationResults
    assert type(results) is kind


def test_updating_the_viewer():
    """Goal: both forms of the viewer's method."""

    class DirectorySource:
        init_data_dir = Path("./init_data")
        schema = ()

        def get_updates_path(self, scenario):
            return Path(scenario) / "updates"

        def get_results_before(self, scenario: str) -> SimulationResults:
            updates_dir = self.get_updates_path(scenario)
            return SimulationResults(
                init_data_dir=self.init_data_dir,
                updates_dir=updates_dir,
                attributes=self.schema,
            )

        def get_results(self, scenario: str):
            updates_path = self.get_updates_path(scenario)
            return get_simulation_results(
                init_data_dir=self.init_data_dir,
                updates_path=updates_path,
                attributes=self.schema,
            )

    source = DirectorySource()
    for results in (source.get_results_before("scenario"), source.get_results("scenario")):
        assert results.get_dataset("transport_network").get_timestamps() == [0, 10]


def test_sqlite_simulation_results_api():
    """Goal: the same methods as those of the JSON results, and the context manager."""
    results = SQLiteSimulationResults(
        database_path=Path("simulation.db"),
        init_data_dir=Path("./init_data"),
    )

    # Same methods as SimulationResults
    dataset = results.get_dataset("transport_network")
    datasets = results.get_datasets()
    timestamps = results.get_timestamps("transport_network")

    database_path, init_data_dir = Path("simulation.db"), Path("./init_data")
    # Use with context manager
    with SQLiteSimulationResults(database_path, init_data_dir) as results:
        dataset = results.get_dataset("transport_network")

    assert datasets == ["transport_network"] and timestamps == [0, 10]
    assert dataset.name == "transport_network" and dataset.metadata["type"] == "transport"


def test_input_and_output_format():
    """Goal: what goes in as lists comes out as arrays, ragged ones with `row_ptr`."""
    entity_data = {
        "entity_group_name": {
            "id": {"data": [1, 2]},
            "attribute_name": {
                "data": [1, 2, 3, 4, 5],        # Uniform array
                "row_ptr": [0, 2, 5]            # CSR sparse (optional)
            }
        }
    }  # fmt: skip
    db = SimulationDatabase("formats.db")
    db.store_update(0, 0, "dataset", entity_data)
    (update,) = db.get_dataset_updates("dataset")
    expected = {
        "timestamp": 0,
        "iteration": 0,
        "entity_group_name": {
            "id": {"data": np.array([1, 2])},
            "attribute_name": {
                "data": np.array([1, 2, 3, 4, 5]),
                "row_ptr": np.array([0, 2, 5])  # If sparse
            }
        }
    }  # fmt: skip
    np.testing.assert_equal(update, expected)


def test_migrating_existing_results(capsys):
    """Goal: the recipe from JSON to a database, word for word."""
    # Load JSON results
    json_results = SimulationResults(
        init_data_dir=Path("./old_results/init"),
        updates_dir=Path("./old_results/updates")
    )  # fmt: skip

    # Create SQLite database
    db = SimulationDatabase("./new_results/migrated.db")

    # Migrate
    for dataset_name in json_results.get_datasets():
        dataset = json_results.get_dataset(dataset_name)

        for update in dataset.updates:
            entity_data = {
                k: v for k, v in update.items()
                if k not in ["timestamp", "iteration"]
            }  # fmt: skip

            db.store_update(
                timestamp=update["timestamp"],
                iteration=update["iteration"],
                dataset_name=dataset_name,
                entity_data=entity_data
            )  # fmt: skip

    print(f"Migrated {db.get_update_count()} updates")

    assert capsys.readouterr().out == "Migrated 3 updates\n"
    state = db.state_at("transport_network", "road_segments", 10)
    assert state["speed"]["data"].tolist() == [50.0, 55.0, 45.0]
    # It is a documented database to a reader of movici: raw bytes, the same tables.
    tables = {row[0] for row in db.sql("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"update", "attribute_data", "numpy_array", "update_attribute"} <= tables


def test_pragmas_of_the_description():
    """Goal: WAL, normal syncs and foreign keys, as "automatically configured"."""
    db = SimulationDatabase("./results/simulation.db")
    assert db.sql("PRAGMA journal_mode").rows == [("wal",)]
    assert db.sql("PRAGMA foreign_keys").rows == [(1,)]


def test_check_if_the_strategy_is_registered(capsys):
    """Goal: "Should include 'sqlite'"."""
    print(DataCollector.strategies.keys())  # Should include 'sqlite'
    assert "'sqlite'" in capsys.readouterr().out
