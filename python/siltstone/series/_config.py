"""Which backend, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import Literal

from siltstone.errors import InvalidError
from siltstone.series._backends import (
    Backend,
    PandasInMemoryAdapter,
    PandasOnDiskAdapter,
    PolarsAdapter,
    SQLDatabaseAdapter,
)

BackendType = Literal["pandas-memory", "pandas-disk", "polars", "sql"]


@dataclass(frozen=True, kw_only=True)
class StorageConfig:
    """Which backend.

    Parameters
    ----------
    backend_type : {"pandas-memory", "pandas-disk", "polars", "sql"}
        Memory, a folder of Parquet files, the same for Polars, or a database.
    base_path : path, optional
        The folder; a temporary one if it is None.
    connection_string : str, optional
        The database; a temporary file if it is None. It is not shown by ``repr``: it may hold a secret.
    """

    backend_type: BackendType = "pandas-memory"
    base_path: str | PathLike[str] | None = None
    connection_string: str | None = field(default=None, repr=False)

    def create_backend(self) -> Backend:
        """The backend.

        Raises
        ------
        ValueError
            For a name that is none of the four.
        """
        if self.backend_type == "pandas-memory":
            return PandasInMemoryAdapter()
        if self.backend_type == "pandas-disk":
            return PandasOnDiskAdapter(self.base_path)
        if self.backend_type == "polars":
            return PolarsAdapter(self.base_path)
        if self.backend_type == "sql":
            return SQLDatabaseAdapter(self.connection_string)
        raise InvalidError(
            f"backend_type: expected one of pandas-memory, pandas-disk, polars, sql, got {self.backend_type!r}"
        )


def create_backend(config: StorageConfig) -> Backend:
    """The backend of a configuration."""
    return config.create_backend()
