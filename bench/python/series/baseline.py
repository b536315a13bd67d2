"""What every store in this bench does, and the list of them."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pandas as pd


class Baseline:
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
BASELINES = {
    "siltstone_sqlite": "package_baseline:Sqlite",
    "siltstone_parquet": "package_baseline:Parquet",
    "siltstone_memory": "package_baseline:Memory",
    "meteaudata_memory": "meteaudata_baseline:Memory",
    "meteaudata_disk": "meteaudata_baseline:Disk",
    "meteaudata_polars": "meteaudata_baseline:Polars",
    "meteaudata_sql": "meteaudata_baseline:Sql",
    "repaired_sql": "meteaudata_baseline:RepairedSql",
    "arcticdb": "arcticdb_baseline:Arcticdb",
    "duckdb": "duckdb_baseline:Duckdb",
    "h5py_raw": "h5py_baseline:Raw",
    "h5py_gzip": "h5py_baseline:Gzip",
    "parquet": "parquet_baseline:Parquet",
    "sqlite3": "sqlite_baseline:Sqlite",
    "zarr": "zarr_baseline:Zarr",
    "siltstone_postgresql": "package_baseline:Postgresql",
    "meteaudata_postgresql": "meteaudata_baseline:Postgresql",
    "repaired_postgresql": "meteaudata_baseline:RepairedPostgresql",
    "psql_copy": "psql_baseline:Psql",
}


def load(name: str) -> type[Baseline]:
    """Import the class of the baseline `name`."""
    module, _, attribute = BASELINES[name].partition(":")
    return getattr(import_module(module), attribute)
