"""Recording a run while it goes on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

from siltstone import _siltstone
from siltstone._handle import StoreHandle, failure
from siltstone.errors import InvalidError
from siltstone.simulation._settings import Settings, plain
from siltstone.simulation._state import State
from siltstone.simulation._strategies import (
    FileStorageStrategy,
    SQLiteStorageStrategy,
    StorageStrategy,
    compiled,
    config_json,
)

_log = logging.getLogger("siltstone.simulation")


class DataCollector(StoreHandle):
    """Records a run: keeps the state of every dataset and stores of each update what changed it.

    The first value of an attribute counts as a change, and so does every change of a bit unless a
    tolerance is set. An update that changes nothing is not stored. Five workers store; a call
    waits while all are busy. An error of a worker is raised by the next call, and by :meth:`close`,
    which waits for all.

    Parameters
    ----------
    config : dict
        The documented options ``gather_filter`` (None, ``"*"`` or ``{dataset: {group:
        [attribute]}}``), ``aggregate_updates``, ``storage``, ``storage_dir``, ``database_path``;
        and ours: ``tolerance`` (``{"relative", "absolute"}``), ``append``, ``overwrite``,
        ``allow_foreign``.
    settings : Settings
        What the config does not say. ``database_path`` goes before ``storage_dir`` of the config,
        and that before ``storage_dir`` of the settings.
    """

    #: The known strategies by name.
    strategies: ClassVar[dict[str, type[StorageStrategy]]] = {
        "file": FileStorageStrategy,
        "disk": FileStorageStrategy,
        "sqlite": SQLiteStorageStrategy,
    }

    def __init__(self, config: Mapping[str, Any] | None = None, settings: Settings | None = None) -> None:
        self.config = dict(config or {})
        self.settings = settings if settings is not None else Settings()
        self.strategy = self.get_storage_strategy()
        # The strategy sees the time, and holds no collector that holds it.
        self._model = SimpleNamespace(timestamp=None, config=self.config)
        self._inner = _siltstone.DataCollector(compiled(self.strategy, self._model), config_json(self.config))

    @classmethod
    def add_storage_strategy(cls, name: str, strategy: type[StorageStrategy]) -> None:
        """Make a strategy known under a name, in place of any that had it."""
        cls.strategies[name] = strategy

    def get_storage_strategy(
        self, settings: Settings | None = None, logger: logging.Logger | None = None
    ) -> StorageStrategy:
        """The strategy that config and settings ask for.

        Raises
        ------
        InvalidError
            For an unknown name, or a strategy that is not told where to.
        """
        return _choose(self.strategies, self.config, settings or self.settings, logger or _log)

    def initialize(self) -> None:
        """Make the storage ready."""
        self._inner.initialize()

    def new_time(self, timestamp: int) -> None:
        """A timestamp begins; the ones of a run rise."""
        self._inner.new_time(timestamp)

    def update(self, dataset: str, data: Mapping[str, Any], origin: str | None = None) -> None:
        """Take an update of one dataset; `data` as in ``SimulationDatabase.store_update``."""
        self._inner.update(dataset, data, origin)

    def update_all(self, updates: Mapping[str, Any], origin: str | None = None) -> None:
        """Take updates of several datasets; their iterations are in the order given."""
        for dataset, data in updates.items():
            self._inner.update(dataset, data, origin)

    def errors(self) -> list[str]:
        """What went wrong in workers so far."""
        return self._inner.errors()

    def close(self, failure: str | None = None) -> None:
        """Store what is left, wait for every worker and end the storage.

        With a `failure` the storage is told that the run did not end well, and why.
        """
        self._inner.close(failure)

    def __enter__(self) -> DataCollector:
        self.initialize()
        return self

    def _leave(self, error: BaseException | None) -> None:
        self.close(failure(error))

    def _shown(self) -> str:
        return repr(self.config)


def _choose(
    strategies: Mapping[str, type[StorageStrategy]],
    config: Mapping[str, Any],
    settings: Settings,
    logger: logging.Logger,
) -> StorageStrategy:
    name = _siltstone.strategy_name(config_json(config), plain(settings))
    # A wrong name in the settings is told also where the config goes before it.
    _check_known(strategies, settings.storage)
    _check_known(strategies, name)
    return strategies[name].choose(config, settings, logger)


def _check_known(strategies: Mapping[str, type[StorageStrategy]], name: str | None) -> None:
    if name is not None and name not in strategies:
        known = ", ".join(strategies)
        raise InvalidError(f"Unsupported storage method {name!r}: expected one of {known}")


class World:
    """What models see: the state of every dataset. It can be read until the call returns."""

    def __init__(self, inner: _siltstone.World) -> None:
        self._inner = inner

    def datasets(self) -> list[str]:
        """The names of the datasets."""
        return self._inner.datasets()

    def groups(self, dataset: str) -> list[str]:
        """The entity groups of a dataset."""
        return self._inner.groups(dataset)

    def state(self, dataset: str, group: str) -> State | None:
        """The state of an entity group; None if there is none yet."""
        found = self._inner.state(dataset, group)
        return None if found is None else State(found[1], dataset, group, found[0])


class Model:
    """A part of a simulation that computes new values; make a subclass."""

    def initialize(self, world: World) -> None:
        """Called once, before the first time."""

    def update(self, timestamp: int, world: World) -> tuple[Mapping[str, Any] | None, int | None] | None:
        """Called at the first time of the run, and then at each time that the model asked for.

        Returns
        -------
        (data, next) or None
            The new values ``{dataset: {group: {attribute: {"data"}}}}`` or None, and the timestamp
            at which the model wants to be called next, or None.
        """
        raise NotImplementedError


class _ModelAdapter:
    def __init__(self, model: Any) -> None:
        self._model = model

    def initialize(self, world: _siltstone.World) -> None:
        if hasattr(self._model, "initialize"):
            self._model.initialize(World(world))

    def update(self, timestamp: int, world: _siltstone.World) -> Any:
        return self._model.update(timestamp, World(world))


class Simulation:
    """Runs models in the order of their times, and records what they say.

    A plain driver in one process: a model is called when it asked to be, not because another one
    changed something.

    Parameters
    ----------
    data_dir : path, optional
        The folder of initial data; in place of that of the settings.
    settings : Settings, optional
        What holds for the whole simulation.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None = None, settings: Settings | None = None) -> None:
        settings = settings if settings is not None else Settings()
        self.settings = settings if data_dir is None else replace(settings, data_dir=data_dir)
        self._inner = _siltstone.Simulation(plain(self.settings))

    def add_model(self, name: str, model: Any = None) -> None:
        """Add a model.

        Parameters
        ----------
        name : str
            Its name: its updates are stored under it. ``"data_collector"`` is built in.
        model : dict or Model
            The config of a built-in model, or an object with ``update(timestamp, world)``.
        """
        if isinstance(model, Mapping) or model is None:
            if name != "data_collector":
                known = "data_collector is built in, every other model is an object"
                raise InvalidError(f"model {name!r}: {known}")
            config = dict(model or {})
            strategy = _choose(DataCollector.strategies, config, self.settings, _log)
            namespace = SimpleNamespace(timestamp=None, config=config)
            self._inner.add_collector(compiled(strategy, namespace), config_json(config))
        else:
            self._inner.add_model(name, _ModelAdapter(model))

    def add_models(self, models: Iterable[tuple[str, Any]]) -> None:
        """Add several models."""
        for name, model in models:
            self.add_model(name, model)

    def run(self) -> None:
        """Run until the end time, or until no model asks for another time.

        Everything that was recorded is stored when this returns, also with an error; the recorded
        run is marked as failed then.

        Raises
        ------
        InvalidError
            For a storage strategy in the settings that is not registered.
        """
        _check_known(DataCollector.strategies, self.settings.storage)
        self._inner.run()
