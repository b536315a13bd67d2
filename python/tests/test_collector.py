"""Recording a run while it goes on."""

import threading

import numpy as np
import pytest

from siltstone import errors
from siltstone.simulation import (
    DataCollector,
    FileStorageStrategy,
    Model,
    Settings,
    Simulation,
    SimulationDatabase,
    SQLiteStorageStrategy,
    StorageStrategy,
    UpdateInfo,
)


def speeds(ids, values):
    return {"g": {"id": {"data": ids}, "speed": {"data": values}}}


@pytest.fixture
def strategies():
    """A registered name goes when the test ends."""
    before = dict(DataCollector.strategies)
    yield DataCollector
    DataCollector.strategies.clear()
    DataCollector.strategies.update(before)


def test_only_changes_are_stored(path):
    """Goal: unchanged cells and updates are not stored; an exact change of a bit is."""
    with DataCollector({"database_path": path}) as collector:
        collector.new_time(0)
        collector.update("d", speeds([1, 2, 3], [1.0, 2.0, 3.0]), origin="m")
        collector.update("d", speeds([1, 2, 3], [1.0, 2.0, 3.0]))
        collector.new_time(np.int64(10))
        collector.update("d", speeds([1, 2, 3], [1.0, np.nextafter(2.0, 3.0), 3.0]))
        collector.update_all({"e": speeds([1], [1.0]), "d": speeds([3], [4.0])})
    with SimulationDatabase(path, read_only=True) as db:
        places = [(u["timestamp"], u["iteration"], u["g"]["id"]["data"].tolist()) for u in db.iter_updates("d")]
        assert places == [(0, 0, [1, 2, 3]), (10, 0, [2]), (10, 2, [3])]
        assert db.get_dataset_updates("d")[0]["origin"] == "m" and db.status == "complete"


def test_options_of_the_collector(tmp_path):
    """Goal: gather filter, aggregation and the order of places to store in."""
    config = {
        "gather_filter": {"d": {"g": ["speed"]}},
        "aggregate_updates": True,
        "storage_dir": tmp_path / "here",
        "storage": "sqlite",
    }
    settings = Settings(storage="file", storage_dir=tmp_path / "not here")
    with DataCollector(config, settings) as collector:
        assert isinstance(collector.strategy, SQLiteStorageStrategy)
        assert collector.strategy.database_path == tmp_path / "here" / "simulation_results.db"
        collector.new_time(0)
        data = speeds([1], [1.0])
        data["g"]["other"] = {"data": [5]}
        collector.update("d", data)
        collector.update("d", speeds([1], [2.0]))
        collector.update("e", speeds([1], [1.0]))
    with SimulationDatabase(tmp_path / "here" / "simulation_results.db", read_only=True) as db:
        (update,) = db.get_dataset_updates("d")
        assert list(update["g"]) == ["id", "speed"] and update["g"]["speed"]["data"] == [2.0]
        assert db.get_datasets() == ["d"]
    for bad in (
        {"storage": "api"},
        {"storage": "sqlite"},
        {"storag": "file"},
        {"gather_filter": 1},
    ):
        with pytest.raises(ValueError):
            DataCollector(bad)
    with pytest.raises(ValueError, match="Unsupported storage method 'api'"):
        DataCollector({"storage": "api", "storage_dir": "x"})
    assert {"file", "disk", "sqlite"} <= DataCollector.strategies.keys()


def test_json_files_and_foreign_files(tmp_path):
    """Goal: the documented file names and bytes; a folder with other things in it is refused."""
    settings = Settings(storage="disk", storage_dir=tmp_path / "a")
    with DataCollector(settings=settings) as collector:
        assert isinstance(collector.strategy, FileStorageStrategy)
        collector.new_time(5)
        collector.update("d", {"g": {**speeds([1, 2], [1.5, np.nan])["g"], "n": {"data": [1, 2]}}})
    (file,) = (tmp_path / "a").iterdir()
    assert file.name == "t5_0_d.json"
    assert file.read_bytes() == b'{"d":{"g":{"id":[1,2],"speed":[1.5,null],"n":[1,2]}}}'
    (tmp_path / "a" / "thesis.txt").write_text("mine")
    with pytest.raises(errors.NotOursError):
        DataCollector({"overwrite": True}, settings).initialize()
    assert len(list((tmp_path / "a").iterdir())) == 2


def test_strategies_of_ones_own(strategies):
    """Goal: a registered Python class gets every update, in five threads, and is closed once."""

    class Memory(StorageStrategy):
        made = []

        @classmethod
        def choose(cls, model_config, settings, logger):
            strategy = cls()
            strategy.updates, strategy.calls, strategy.threads = [], [], set()
            cls.made.append(strategy)
            return strategy

        def initialize(self):
            self.calls.append("initialize")

        def store(self, info):
            assert isinstance(info, UpdateInfo) and info.full_data() == {info.name: info.data}
            self.updates.append((info.timestamp, info.iteration, info.name, info.origin))
            self.threads.add(threading.get_ident())

        def reset_iterations(self, model):
            self.calls.append(model.timestamp)

        def close(self):
            self.calls.append("close")

    DataCollector.add_storage_strategy("memory", Memory)
    with DataCollector({"storage": "memory"}) as collector:
        for t in range(20):
            collector.new_time(t)
            collector.update("d", speeds([1], [float(t)]), "m")
    (strategy,) = Memory.made
    assert sorted(strategy.updates) == [(t, 0, "d", "m") for t in range(20)]
    assert strategy.calls == ["initialize", *range(20), "close"]
    assert threading.get_ident() not in strategy.threads


def test_subclasses_of_built_in_strategies(strategies, path):
    """Goal: a subclass can look at what it hands on, and the run is still marked."""

    class Counted(SQLiteStorageStrategy):
        count = 0

        def store(self, info):
            Counted.count += 1
            super().store(info)

    DataCollector.add_storage_strategy("sqlite", Counted)
    with pytest.raises(ZeroDivisionError), DataCollector({"database_path": path}) as collector:
        collector.new_time(0)
        collector.update("d", speeds([1], [1.0]))
        1 / 0
    with SimulationDatabase(path, read_only=True) as db:
        assert db.get_update_count() == Counted.count == 1
        assert db.status == "failed" and "ZeroDivisionError" in db.run.error


@pytest.mark.parametrize("when", ["initialize", "store", "reset_iterations", "close"])
def test_what_a_strategy_raises_reaches_the_caller(strategies, when):
    """Goal: the exception itself, also that of the last write, raised at the latest by close."""

    class Full(Exception):
        pass

    class Broken(StorageStrategy):
        def store(self, info):
            pass

        def fail(self, *args):
            raise Full("no room")

    setattr(Broken, when, Broken.fail)
    if when == "store":
        Broken.__abstractmethods__ = frozenset()
    DataCollector.add_storage_strategy("broken", Broken)
    collector = DataCollector({"storage": "broken"})
    with pytest.raises(Full, match="no room"):
        collector.initialize()
        collector.new_time(0)
        collector.update("d", speeds([1], [1.0]))
        collector.close()
    if when == "store":
        assert "no room" in collector.errors()[0]


def test_a_repeated_update_is_an_error_of_close(path):
    """Goal: the failure of the last write is not swallowed."""
    with SimulationDatabase(path) as db:
        db.store_update(0, 0, "d", speeds([1], [0.0]))
    collector = DataCollector({"database_path": path, "append": True})
    collector.initialize()
    collector.new_time(0)
    collector.update("d", speeds([1], [1.0]))
    with pytest.raises(errors.ExistsError):
        collector.close()
    with pytest.raises(errors.ExistsError):
        DataCollector({"database_path": path}).initialize()


class Growing(Model):
    def initialize(self, world):
        self.seen = world.state("d", "g")

    def update(self, timestamp, world):
        now = world.state("d", "g")
        grown = now["speed"]["data"] + 1
        assert world.datasets() == ["d"] and world.groups("d") == ["g"]
        self.world = world
        return {"d": speeds(now.ids, grown)}, timestamp + 5


def test_a_simulation_records_its_models(tmp_path):
    """Goal: models see the state, their updates are stored under their name, initial data travel."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "d.json").write_text('{"name":"d","data":{"g":{"id":[1,2],"speed":[1.0,2.0]}}}')
    settings = Settings(storage="sqlite", storage_dir=tmp_path, end_time=20)
    sim = Simulation(tmp_path / "data", settings)
    model = Growing()
    sim.add_model("growing", model)
    sim.add_model("data_collector", {"gather_filter": "*", "aggregate_updates": False})
    sim.run()
    assert model.seen["speed"]["data"].tolist() == [1.0, 2.0]
    with SimulationDatabase(tmp_path / "simulation_results.db", read_only=True) as db:
        assert db.get_timestamps("d") == [0, 5, 10, 15, 20] and db.status == "complete"
        assert {u["origin"] for u in db.iter_updates("d")} == {"growing"}
        assert db.state_at("d", "g", 12)["speed"]["data"].tolist() == [4.0, 5.0]
        assert db.has_initial_datasets()
    with pytest.raises(ValueError, match="inside the call"):
        model.world.state("d", "g")
    with pytest.raises(ValueError):
        sim.run()
    with pytest.raises(ValueError):
        sim.add_model("flood_model", {})


def test_a_failing_model_fails_the_run(tmp_path):
    """Goal: its exception reaches the caller, and the record says so."""

    class Bad(Model):
        def update(self, timestamp, world):
            if timestamp == 2:
                raise LookupError("no such road")
            return {"d": speeds([1], [float(timestamp)])}, timestamp + 1

    sim = Simulation(settings=Settings(storage="sqlite", storage_dir=tmp_path))
    sim.add_model("data_collector", {})
    sim.add_model("bad", Bad())
    with pytest.raises(LookupError, match="no such road"):
        sim.run()
    with SimulationDatabase(tmp_path / "simulation_results.db", read_only=True) as db:
        assert db.get_timestamps("d") == [0, 1] and db.status == "failed"
        assert "no such road" in db.run.error

    class Odd(Model):
        def update(self, timestamp, world):
            return 5

    sim = Simulation()
    sim.add_model("odd", Odd())
    with pytest.raises(TypeError, match="what a model returns"):
        sim.run()


def test_settings_from_the_environment(monkeypatch):
    """Goal: the documented names with our prefix."""
    monkeypatch.setenv("SILTSTONE_STORAGE", "sqlite")
    monkeypatch.setenv("SILTSTONE_STORAGE_DIR", "results")
    settings = Settings.from_env()
    assert settings.storage == "sqlite" and str(settings.storage_dir) == "results"
    with pytest.raises(TypeError):
        Settings(log_level="debug")


def test_an_unknown_strategy_in_the_settings_is_named(tmp_path, strategies):
    """Goal: told when it is used at the latest, with those there are, whatever the config says."""
    settings = Settings(storage="zz", storage_dir=tmp_path)
    uses = (
        lambda: DataCollector({}, settings),
        lambda: DataCollector({"storage": "sqlite"}, settings),
        lambda: DataCollector({"database_path": tmp_path / "a.db"}, settings),
        lambda: Simulation(settings=settings).add_model("data_collector"),
        lambda: Simulation(settings=settings).run(),
    )
    for use in uses:
        with pytest.raises(errors.InvalidError, match="'zz': expected one of file, disk, sqlite"):
            use()
    assert list(tmp_path.iterdir()) == []
    strategies.add_storage_strategy("zz", SQLiteStorageStrategy)
    Simulation(settings=settings).run()
