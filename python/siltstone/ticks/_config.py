"""How a tick store is set up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import Any


class StorageBackend(str, Enum):
    """Where ticks are kept: JSON files, SQLite files, or both."""

    JSON = "json"
    SQLITE = "sqlite"
    DUAL = "dual"


class Outcome(str, Enum):
    """What became of a tick. Each is equal to its text, as ``"stored"``."""

    #: It is in the ring and waits to be written.
    STORED = "stored"
    #: It was left out by the throttle and is nowhere.
    THROTTLED = "throttled"
    #: It is in the ring, but the queue was full and it will not be written.
    DROPPED = "dropped"


@dataclass
class TickStoreConfig:
    """How a :class:`TickStore` works. The defaults are those of the description.

    Parameters
    ----------
    broker_id : str
        The broker's name, kept with each tick; 1 to 64 bytes.
    max_ticks_per_symbol : int
        The most ticks of a symbol in memory.
    backend : StorageBackend or str
        Where ticks are kept.
    sqlite_base_path : path
        Folder of the SQLite files.
    enable_json_legacy : bool
        Writes JSON files beside ``StorageBackend.SQLITE`` too. The other two backends write them in
        any case.
    json_base_path : path
        Folder of the JSON files.
    utc_offset_s : int
        Offset from UTC, in seconds, that times in JSON files are written with.
    queue_size : int
        How many ticks may wait to be written.
    queue_full : {"drop_newest", "drop_oldest", "block", "error"}
        What happens to the next one: it is not written, but stays in the ring, counted and reported; or the
        oldest gives way; or the call waits; or it raises :class:`QueueFullError`.
    batch_size : int
        How many ticks are written in one transaction.
    flush_interval : float
        How many seconds a tick waits for others at the most.
    durability : {"os", "disk", "buffered"}
        What a tick that a flush has reported as written survives.
    throttle : {"off", "bid", "bid_and_ask"}
        Which ticks are left out: none; those whose bid differs from the last stored one by less than
        0.00001 of it (the RTX engine's rule); or those whose ask does not move either.
    duplicates : {"keep_all", "first", "last", "exact_row", "error"}
        What happens to a symbol and time that is stored already.
    duplicate_key_ns : int
        Times within one such span count as one time for `duplicates`; 1_000_000 with ``"first"`` is
        the RTX engine's rule, which loses ticks of real feeds.
    compact_after_days : int
        A day is compacted when it has been over for so many days.
    compact_every : float, optional
        Seconds between two searches for such days; None: only :meth:`TickStore.compact` searches.
    spill_path : path, optional
        Where batches go that cannot be written; a folder ``spill`` in the folder of the files.
    max_bars_per_symbol : int
        One-minute bars of a symbol kept in memory.

    Examples
    --------
    >>> config = TickStoreConfig.production("BROKER-001")
    >>> config.max_ticks_per_symbol = 5_000
    >>> config.backend, config.enable_json_legacy
    (<StorageBackend.SQLITE: 'sqlite'>, False)
    """

    broker_id: str = "default"
    max_ticks_per_symbol: int = 10_000
    backend: StorageBackend | str = StorageBackend.JSON
    sqlite_base_path: str | os.PathLike[str] = "data/ticks/db"
    enable_json_legacy: bool = True
    json_base_path: str | os.PathLike[str] = "data/ticks"
    utc_offset_s: int = 0
    queue_size: int = 10_000
    queue_full: str = "drop_newest"
    batch_size: int = 500
    flush_interval: float = 5.0
    durability: str = "os"
    throttle: str = "off"
    duplicates: str = "keep_all"
    duplicate_key_ns: int = 1
    compact_after_days: int = 7
    compact_every: float | None = 600.0
    spill_path: str | os.PathLike[str] | None = None
    max_bars_per_symbol: int = 10_080

    @classmethod
    def production(cls, broker_id: str, **options: Any) -> TickStoreConfig:
        """SQLite alone: the preset for production. `options` are other fields."""
        preset: dict[str, Any] = {"backend": StorageBackend.SQLITE, "enable_json_legacy": False}
        return cls(broker_id, **(preset | options))

    @classmethod
    def migration(cls, broker_id: str, **options: Any) -> TickStoreConfig:
        """SQLite and JSON: the preset for the time of a migration."""
        preset: dict[str, Any] = {"backend": StorageBackend.DUAL}
        return cls(broker_id, **(preset | options))

    @classmethod
    def json(cls, broker_id: str, max_ticks_per_symbol: int = 10_000, **options: Any) -> TickStoreConfig:
        """JSON files alone: the default of the RTX engine."""
        return cls(broker_id, max_ticks_per_symbol, **options)
