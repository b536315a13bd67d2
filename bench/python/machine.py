"""The facts without which a figure means nothing: processor, system, versions."""

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TICKS = ("duckdb", "pyarrow", "polars", "arcticdb", "chdb", "pandas")
SERIES = ("PyYAML", "psycopg")
EXPERIMENT = ("mlflow-skinny",)
PACKAGES = ("siltstone", "numpy", "SQLAlchemy", "orjson", "h5py", "zarr", *TICKS, *SERIES, *EXPERIMENT)


def facts(scratch: Path) -> dict:
    """Return what this machine is, and how busy it was; no names of hosts, users or folders."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": _file_system(scratch),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "python_sqlite": sqlite3.sqlite_version,
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def _field(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _file_system(folder: Path) -> str | None:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return None
    holding = [(len(at), kind) for at, kind in mounts if folder.resolve().is_relative_to(at)]
    return max(holding)[1]


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
