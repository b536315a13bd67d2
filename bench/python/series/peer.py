"""What every store in this bench does, and the list of them."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pandas as pd


class Peer:
    """One store in one folder: pandas Series in, pandas Series with their index of times out.

    Attributes
    ----------
    survives
        What a finished save is safe from: `-` (nothing), `process` (its end), `disk` (a loss of power).
    unfair
        Why its figures do not compare one to one with the others; empty if they do.
    in_memory
        Whether it ends with the process.
    """

    survives = "process"
    unfair = ""
    in_memory = False

    def __init__(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """What is made once and not timed."""

    def save(self, key: str, series: pd.Series) -> None:
        raise NotImplementedError

    def load(self, key: str) -> pd.Series:
        raise NotImplementedError

    def range(self, key: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
        """Points within, both ends included; of a store that cannot, all of them and a slice."""
        return self.load(key).loc[start:end]

    def append(self, key: str, series: pd.Series) -> None:
        raise NotImplementedError("it has no append")

    def save_many(self, series: dict[str, pd.Series]) -> None:
        for key, one in series.items():
            self.save(key, one)

    def load_many(self, keys: Iterable[str]) -> dict[str, pd.Series]:
        return {key: self.load(key) for key in keys}

    def keys(self) -> list[str]:
        raise NotImplementedError("it has no list of keys")

    def compact(self) -> None:
        """Pack what can be packed."""

    def close(self) -> None:
        pass


# Imported one by one, so that a process pays for, and needs, only the store that it runs.
PEERS = {
    "siltstone_sqlite": "package_peer:Sqlite",
    "siltstone_parquet": "package_peer:Parquet",
    "siltstone_memory": "package_peer:Memory",
    "described_memory": "described_peer:Memory",
    "described_disk": "described_peer:Disk",
    "described_polars": "described_peer:Polars",
    "described_sql": "described_peer:Sql",
    "repaired_sql": "described_peer:RepairedSql",
    "arcticdb": "arcticdb_peer:Arcticdb",
    "duckdb": "duckdb_peer:Duckdb",
    "h5py_raw": "h5py_peer:Raw",
    "h5py_gzip": "h5py_peer:Gzip",
    "parquet": "parquet_peer:Parquet",
    "sqlite3": "sqlite_peer:Sqlite",
    "zarr": "zarr_peer:Zarr",
    "siltstone_postgresql": "package_peer:Postgresql",
    "described_postgresql": "described_peer:Postgresql",
    "repaired_postgresql": "described_peer:RepairedPostgresql",
    "psql_copy": "psql_peer:Psql",
}


def load(name: str) -> type[Peer]:
    """Import the class of the peer `name`."""
    module, _, attribute = PEERS[name].partition(":")
    return getattr(import_module(module), attribute)
