"""Tables of one simulation as files, as AgentFarm writes them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import DurabilityUnknownError, InvalidError

if TYPE_CHECKING:
    from siltstone.experiment._database import ExperimentDatabase

#: AgentFarm's names of what can be exported, and the tables that they are.
DATA_TYPES = {
    "metrics": "simulation_steps",
    "agents": "agent_states",
    "resources": "resource_states",
    "actions": "agent_actions",
}
_ENDINGS = {"csv": "csv", "excel": "xlsx", "json": "json", "parquet": "parquet"}


def validate_export_format(format: str) -> str:
    """The format, in small letters.

    Raises
    ------
    InvalidError
        Unless it is ``"csv"``, ``"excel"``, ``"json"`` or ``"parquet"``.
    """
    small = str(format).lower()
    if small not in _ENDINGS:
        raise InvalidError(f"format: expected {', '.join(_ENDINGS)}, got {format!r}")
    return small


def export_data(
    db: ExperimentDatabase,
    simulation_id: str,
    filepath: str | os.PathLike[str],
    format: str = "csv",
    data_types: list[str] | None = None,
    start_step: int | None = None,
    end_step: int | None = None,
    include_metadata: bool = True,
) -> list[Path]:
    """Write tables of one simulation to files.

    Parameters
    ----------
    db : ExperimentDatabase
        The database.
    simulation_id : str
        The simulation.
    filepath : path
        The name of the files without its ending. CSV and Parquet: ``<name>_<type>.<ending>`` each; Excel: a sheet each;
        JSON: one file.
    format : {"csv", "excel", "json", "parquet"}
        Excel needs pandas and openpyxl.
    data_types : list of str
        Of ``"metrics"``, ``"agents"``, ``"resources"``, ``"actions"``; all unless given.
    start_step, end_step : int, optional
        The first and the last step, of every table.
    include_metadata : bool
        Whether what is known of the simulation is written beside it: ``<name>_metadata.json``, or the field
        ``metadata`` of JSON.

    Returns
    -------
    list of Path
        The files, each of them whole.

    Raises
    ------
    DurabilityUnknownError
        All of them are there; that a folder could not be synced is reported.
    """
    format = validate_export_format(format)
    names = list(DATA_TYPES) if data_types is None else data_types
    if unknown := [name for name in names if name not in DATA_TYPES]:
        raise InvalidError(f"data_types: expected {', '.join(DATA_TYPES)}, got {unknown[0]!r}")
    base = Path(filepath)
    if base.suffix.lstrip(".").lower() == _ENDINGS[format]:
        base = base.with_suffix("")
    steps = None
    if start_step is not None or end_step is not None:
        steps = (start_step or 0, (1 << 62) if end_step is None else end_step)
    tables = {name: db.records(simulation_id, DATA_TYPES[name], steps=steps) for name in names}
    metadata = db.simulations([simulation_id])[0]._asdict() if include_metadata else None
    files: list[Path] = []
    writes: list[Callable[[], object]] = []

    def add(ending: str, content: Callable[[], bytes]) -> None:
        path = base.with_name(f"{base.name}{ending}")
        files.append(path)
        writes.append(lambda: _siltstone.write_file(path, content()))

    if format in ("csv", "parquet"):
        for name, table in tables.items():
            path = base.with_name(f"{base.name}_{name}.{_ENDINGS[format]}")
            files.append(path)
            writes.append(partial(table.write, path, format, overwrite=True))
        if metadata is not None:
            add("_metadata.json", lambda: json.dumps(metadata, indent=2).encode())
    elif format == "json":
        add(".json", lambda: _json(tables, metadata))
    else:
        add(".xlsx", lambda: _excel(tables, metadata))
    unsure = None
    for write in writes:
        try:
            write()
        except DurabilityUnknownError as error:  # the file is there: the rest goes on
            unsure = unsure or error
    if unsure is not None:
        raise unsure
    return files


def _json(tables: dict[str, Any], metadata: dict[str, Any] | None) -> bytes:
    whole: dict[str, Any] = {name: table.to_arrow().to_pylist() for name, table in tables.items()}
    if metadata is not None:
        whole["metadata"] = metadata
    return json.dumps(whole).encode()


def _excel(tables: dict[str, Any], metadata: dict[str, Any] | None) -> bytes:
    import pandas as pd

    content = io.BytesIO()
    with pd.ExcelWriter(content) as writer:
        for name, table in tables.items():
            table.to_pandas().to_excel(writer, sheet_name=name, index=False)
        if metadata is not None:
            rows = {key: json.dumps(value) for key, value in metadata.items()}
            pd.Series(rows, name="value").to_excel(writer, sheet_name="metadata")
    return content.getvalue()
