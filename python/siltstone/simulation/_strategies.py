"""Where a data collector stores updates."""

from __future__ import annotations

import itertools
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siltstone import _siltstone
from siltstone.simulation._settings import Settings, plain


@dataclass
class UpdateInfo:
    """One update as a strategy stores it.

    Attributes
    ----------
    name : str
        The dataset.
    timestamp, iteration : int
        When, and the position among the updates of the timestamp.
    data : dict
        ``{group: {attribute: {"data"[, "row_ptr"][, "mask"][, "cleared"]}}}``: what changed.
    origin : str, optional
        The model that it came from.
    """

    name: str
    timestamp: int
    iteration: int
    data: dict[str, Any]
    origin: str | None = None

    def full_data(self) -> dict[str, Any]:
        """The data under the name of the dataset."""
        return {self.name: self.data}


class StorageStrategy(ABC):
    """Stores the updates of one run. Five threads call :meth:`store`, several at once.

    Make a subclass and register it: ``DataCollector.add_storage_strategy("mine", MyStrategy)``.
    What it raises is raised to the simulation by the next call, and by ``close``.
    """

    @classmethod
    def choose(cls, model_config: Mapping[str, Any], settings: Settings, logger: logging.Logger) -> StorageStrategy:
        """Make the strategy that config and settings ask for; without arguments unless overridden."""
        return cls()

    def initialize(self) -> None:  # noqa: B027 - may be left out
        """Called once, before anything is stored."""

    @abstractmethod
    def store(self, info: UpdateInfo) -> None:
        """Store one update."""

    def reset_iterations(self, model: Any) -> None:  # noqa: B027 - may be left out
        """A new timestamp begins (``model.timestamp``): iterations count from 0 again."""

    def close(self) -> None:  # noqa: B027 - may be left out
        """Called once, after every update was stored or failed."""


class _BuiltIn(StorageStrategy):
    """A strategy that is built in. Subclasses may override its methods."""

    _kind: str
    _inner: _siltstone.Strategy

    def _make(self, config: Mapping[str, Any], settings: Settings | None) -> None:
        settings = settings if settings is not None else Settings()
        self._inner = _siltstone.Strategy(self._kind, config_json(config), plain(settings))

    @classmethod
    def choose(cls, model_config: Mapping[str, Any], settings: Settings, logger: logging.Logger) -> StorageStrategy:
        made = cls.__new__(cls)
        # What names the model itself is none of its options.
        made._make({k: v for k, v in model_config.items() if k not in ("name", "type")}, settings)
        return made

    def initialize(self) -> None:
        self._inner.initialize()

    def reset_iterations(self, model: Any) -> None:
        # The collector of movici counts by what its strategy sets here; ours counts by itself.
        if hasattr(model, "iteration"):
            model.iteration = itertools.count()

    def store(self, info: UpdateInfo) -> None:
        self._inner.store(info.timestamp, info.iteration, info.name, info.data, info.origin)

    def close(self) -> None:
        self._inner.close(None)


class FileStorageStrategy(_BuiltIn):
    """A folder of ``t<timestamp>_<iteration>_<dataset>.json`` files, each whole or not at all.

    A folder that holds anything but updates is refused, and no foreign file is ever removed.
    """

    _kind = "file"

    def __init__(self, directory: str | os.PathLike[str], settings: Settings | None = None, **options: bool) -> None:
        self._make({"storage_dir": directory, **options}, settings)

    @property
    def directory(self) -> Path:
        """The folder."""
        return Path(self._inner.path)


class SQLiteStorageStrategy(_BuiltIn):
    """One database, with the initial data of the run; marked as complete or failed at the end."""

    _kind = "sqlite"

    def __init__(
        self,
        database_path: str | os.PathLike[str],
        settings: Settings | None = None,
        **options: bool,
    ) -> None:
        self._make({"database_path": database_path, **options}, settings)

    @property
    def database_path(self) -> Path:
        """The file."""
        return Path(self._inner.path)


def config_json(config: Mapping[str, Any] | None) -> str:
    """A config as JSON text; paths are text in it."""
    return json.dumps(dict(config or {}), default=os.fspath)


class Adapter:
    """What the compiled half calls, for a strategy of the user's own."""

    def __init__(self, strategy: StorageStrategy, model: Any) -> None:
        self._strategy = strategy
        self._model = model

    def initialize(self) -> None:
        self._strategy.initialize()

    def store(self, name: str, timestamp: int, iteration: int, data: dict[str, Any], origin: str | None) -> None:
        self._strategy.store(UpdateInfo(name, timestamp, iteration, data, origin))

    def reset_iterations(self, timestamp: int) -> None:
        self._model.timestamp = timestamp
        self._strategy.reset_iterations(self._model)

    def close(self, failure: str | None) -> None:
        # The database is told that the run failed, also through a subclass.
        if failure is not None and type(self._strategy).close is _BuiltIn.close:
            self._strategy._inner.close(failure)  # type: ignore[attr-defined]
        else:
            self._strategy.close()


def compiled(strategy: StorageStrategy, model: Any) -> Any:
    """A strategy as the compiled half takes it: a built-in one needs no Python in the workers."""
    if type(strategy) in (FileStorageStrategy, SQLiteStorageStrategy):
        return strategy._inner  # type: ignore[attr-defined]
    return Adapter(strategy, model)
