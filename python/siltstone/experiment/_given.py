"""What callers give: parameters, facts of the run, which simulations."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from siltstone.errors import InvalidTypeError

#: Ids, a filter, or nothing for all.
Which = str | Sequence[str] | None


def as_dict(parameters: Any) -> Any:
    """Parameters as a dict, where they are a dataclass or know their own."""
    if dataclasses.is_dataclass(parameters) and not isinstance(parameters, type):
        return dataclasses.asdict(parameters)
    own = getattr(parameters, "to_dict", None) or getattr(parameters, "model_dump", None)
    return own() if callable(own) else parameters


def definition(
    name: str, columns: Mapping[str, str], key: str | None = None
) -> tuple[str, list[tuple[str, str]], str | None]:
    """A table of records to be made."""
    return name, [(column, str(kind)) for column, kind in columns.items()], key


def which(simulation_ids: Which) -> str | list[str] | None:
    if simulation_ids is None or isinstance(simulation_ids, str):
        return simulation_ids
    ids = list(simulation_ids)
    for one in ids:
        if not isinstance(one, str):
            raise InvalidTypeError(f"simulation_ids: expected a list of ids, which are texts, got {one!r} in it")
    return ids


def facts() -> dict[str, Any]:
    """What the interpreter knows of the run."""
    packages = {}
    for name in ("siltstone", "numpy"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    # What of the command line is no text is shown as it is typed: b"caf\xe9" is "caf\\xe9".
    command_line = [os.fsencode(arg).decode("utf-8", "backslashreplace") for arg in sys.argv]
    return {"command_line": command_line, "python": platform.python_version(), "packages": packages}
