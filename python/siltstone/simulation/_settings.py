"""What holds for a whole simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from siltstone import _siltstone
from siltstone.simulation._attributes import schema_json, timeline


@dataclass
class Settings:
    """What holds for a whole simulation, under the documented names.

    Parameters
    ----------
    storage : str
        The storage strategy: ``"file"`` (or ``"disk"``, its old name), ``"sqlite"``, or a
        registered one; a ``database_path`` in the config of a collector goes before ``"file"``. A name that is not
        registered when it is used is an error that lists those that are.
    storage_dir : path, optional
        The folder that results go to.
    data_dir : path, optional
        The folder of initial data, of which all ``*.json`` are kept with the results. Without it
        only the `datasets` that are named are taken from the working directory.
    datasets : list of str
        The datasets of the run, if not all of the folder.
    attributes : list of AttributeSpec, or any other form of a schema
        Attribute types.
    timeline_info : TimelineInfo, optional
        What timestamps mean in calendar time, and where they start.
    end_time : int, optional
        The last timestamp of a :class:`Simulation`; without it, it runs until no model asks for
        another time.
    durability : {"os", "disk", "buffered"}
        What a stored update survives.
    """

    storage: str = "file"
    storage_dir: str | os.PathLike[str] | None = None
    data_dir: str | os.PathLike[str] | None = None
    datasets: Sequence[str] = ()
    attributes: Any = ()
    timeline_info: Any = None
    end_time: int | None = None
    durability: str = "os"

    @classmethod
    def from_env(cls) -> Settings:
        """The settings that the environment gives.

        ``SILTSTONE_STORAGE``, ``SILTSTONE_STORAGE_DIR``, ``SILTSTONE_DATA_DIR``,
        ``SILTSTONE_DURABILITY``, ``SILTSTONE_DATASETS`` (names with commas between).
        """
        storage, storage_dir, data_dir, datasets, durability = _siltstone.settings_from_env()
        return cls(storage or "file", storage_dir, data_dir, datasets, durability=durability)


def plain(settings: Any) -> Any:
    """Settings as the compiled half takes them: ours, or movici's own, which have fewer fields."""
    data_dir = settings.data_dir
    # The default of movici's settings is the working directory, of which nobody meant to keep every JSON file.
    if "data_dir" not in getattr(settings, "model_fields_set", ("data_dir",)):
        data_dir = None
    datasets = [item["name"] if isinstance(item, Mapping) else item for item in settings.datasets]
    return SimpleNamespace(
        storage=None if settings.storage == "file" else settings.storage,
        storage_dir=settings.storage_dir,
        data_dir=data_dir,
        datasets=datasets,
        schema=schema_json(getattr(settings, "attributes", ())),
        timeline=timeline(settings.timeline_info),
        end_time=getattr(settings, "end_time", None),
        durability=getattr(settings, "durability", "os"),
    )
