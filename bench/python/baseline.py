"""What every engine in the bench does, and the list of them."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from gen import Update


class Baseline(Protocol):
    """One engine on one folder. Opening and closing it are part of what is timed.

    Attributes
    ----------
    durability
        What an acknowledged update survives: `none`, `os` (a killed process) or `disk` (a loss
        of power).
    unfair
        Why its times do not compare one to one with the others; empty if they do.
    batches, reads
        Whether it has `write_batch`; whether it can read at all (the floor cannot).
    """

    durability: str = "os"
    unfair: str = ""
    batches: bool = False
    reads: bool = True
    folder: Path

    def __init__(self, folder: Path, *, write: bool) -> None: ...

    def write_each(self, updates: Sequence[Update]) -> None:
        """Store the updates with one call each, each acknowledged before the next."""
        ...

    def write_batch(self, updates: Sequence[Update]) -> None:
        """Store the updates with one call, acknowledged once."""
        raise NotImplementedError

    def read_all(self, dataset: str) -> list[dict]:
        """Return `[{"timestamp", "iteration", group: {attribute: {"data": array}}}]` in order."""
        ...

    def state_at(self, dataset: str, group: str, timestamp: int) -> dict:
        """Return `{"id": {"data": array}, attribute: {"data": array}}` after `timestamp`."""
        ...

    def close(self) -> None: ...

    def size_bytes(self) -> int:
        """The length of all files in the folder."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def allocated_bytes(self) -> int:
        """The blocks that the file system gives to them: more, where there are many files."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*"))


# Imported one by one, so that a process pays for, and needs, only the engine that it runs.
BASELINES = {
    "floor": "floor:Floor",
    "siltstone": "siltstone_baseline:Siltstone",
    "movici_sqlalchemy": "movici_sqlalchemy:MoviciSqlalchemy",
    "movici_sqlalchemy_wal": "movici_sqlalchemy:MoviciSqlalchemyWal",
    "movici_json": "movici_json:MoviciJson",
    "movici_json_direct": "movici_json:MoviciJsonDirect",
    "sqlite3_executemany": "sqlite3_executemany:Sqlite3Executemany",
    "h5py": "h5py_baseline:H5py",
    "zarr": "zarr_baseline:Zarr",
    "icechunk": "icechunk_baseline:Icechunk",
}


def load(name: str) -> type[Baseline]:
    """Import the class of the baseline `name`."""
    module, _, attribute = BASELINES[name].partition(":")
    return getattr(import_module(module), attribute)
