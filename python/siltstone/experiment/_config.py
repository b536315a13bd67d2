"""How simulations are logged and files are opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from siltstone.errors import InvalidError


@dataclass(frozen=True)
class DataLoggingConfig:
    """When rows that were logged go into the file.

    Attributes
    ----------
    buffer_size : int
        So many rows at the latest are written, in one transaction.
    commit_interval : float
        After so many seconds at the latest they are written.
    durability : {"os", "disk", "buffered"}
        What a step survives once ``log_step`` has returned. ``"os"``: a crash of the process; it is committed then,
        with all that was logged before it. ``"disk"``: a loss of power too. ``"buffered"``: it waits like any other
        row.
    """

    buffer_size: int = 1000
    commit_interval: float = 30.0
    durability: str = "os"


class Settings(NamedTuple):
    """How a file is opened."""

    profile: str = "balanced"
    busy_timeout: float = 30.0
    durability: str = "os"


#: AgentFarm's profiles: page cache and log here, what a commit survives there. The journal is a write-ahead log in all
#: of them: no profile loses what was committed when the process dies.
PROFILES = {
    "balanced": Settings(),
    "performance": Settings(profile="throughput", busy_timeout=60.0),
    "safety": Settings(durability="disk"),
    "memory": Settings(profile="small", busy_timeout=15.0),
}


def settings(config: Any) -> Settings:
    """What a configuration says: a dict or an object, whose part ``database`` comes before itself.

    Parameters
    ----------
    config : dict, object or None
        ``db_pragma_profile`` names a profile, ``db_synchronous_mode`` (``"FULL"``) asks for durability ``"disk"``, and
        ``db_custom_pragmas`` may have a ``busy_timeout`` in ms and a ``synchronous``.
    """
    sections = [section for section in (_get(config, "database"), config) if section is not None]

    def find(name: str) -> Any:
        return next((v for section in sections if (v := _get(section, name)) is not None), None)

    name = find("db_pragma_profile") or "balanced"
    found = PROFILES.get(str(name))
    if found is None:
        raise InvalidError(f"db_pragma_profile: expected {', '.join(PROFILES)}, got {name!r}")
    pragmas = find("db_custom_pragmas") or {}
    if not isinstance(pragmas, Mapping):
        raise InvalidError(f"db_custom_pragmas: expected a dict, got {pragmas!r}")
    synchronous = str(pragmas.get("synchronous", find("db_synchronous_mode") or "")).upper()
    if synchronous in ("FULL", "EXTRA", "2", "3"):
        found = found._replace(durability="disk")
    if "busy_timeout" in pragmas:
        found = found._replace(busy_timeout=float(pragmas["busy_timeout"]) / 1000)
    return found


def _get(section: Any, name: str) -> Any:
    return section.get(name) if isinstance(section, Mapping) else getattr(section, name, None)
