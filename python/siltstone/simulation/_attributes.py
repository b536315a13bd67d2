"""What a run says of its attributes and its times."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class AttributeSpec:
    """The type of an attribute.

    Parameters
    ----------
    name : str
        The attribute.
    py_type : {"bool", "int", "float", "str"} or type
        The type of each component.
    unit_shape : tuple of int
        The shape of one value: empty for a plain number, ``(2,)`` for a point.
    csr : bool
        Whether an entity has a list of such values, of any length.
    enum_name : str, optional
        The enumeration that the numbers stand for.
    """

    name: str
    py_type: str | type
    unit_shape: tuple[int, ...] = ()
    csr: bool = False
    enum_name: str | None = None


@dataclass(frozen=True)
class TimelineInfo:
    """What timestamps mean: ``reference + t * time_scale`` seconds since 1970-01-01 UTC."""

    reference: float
    time_scale: float = 1.0
    start_time: int = 0
    duration: int | None = None


@dataclass(frozen=True)
class AttributeInfo:
    """What is known of an attribute beside its values.

    Attributes
    ----------
    name : str
        The attribute.
    dtype : str
        The numpy dtype that holds every value of the run.
    unit_shape : tuple of int
        The shape of one value.
    csr : bool
        Whether an entity has any number of values.
    special : object
        The value that means "no value", from the dataset's ``general``.
    enum_name, enum_values : str and list of str, or None
        The enumeration that the numbers stand for.
    """

    name: str
    dtype: str
    unit_shape: tuple[int, ...]
    csr: bool
    special: Any
    enum_name: str | None
    enum_values: list[str] | None


def _plain_spec(spec: Any) -> dict[str, Any]:
    """A spec of ours, a dict, or an object that has its type under ``data_type``."""
    if isinstance(spec, Mapping):
        plain = dict(spec)
    elif isinstance(spec, AttributeSpec):
        plain = asdict(spec)
    else:
        kind = spec.data_type
        plain = {
            "name": spec.name,
            "py_type": kind.py_type,
            "unit_shape": kind.unit_shape,
            "csr": kind.csr,
            "enum_name": getattr(spec, "enum_name", None),
        }
    py_type = plain["py_type"]
    plain["py_type"] = py_type.__name__ if isinstance(py_type, type) else str(py_type)
    return plain


def schema_json(schema: Any) -> bytes | None:
    """A schema as JSON text, from whatever it is given as."""
    if schema is None:
        return None
    if isinstance(schema, bytes):
        return schema
    if isinstance(schema, os.PathLike):
        return Path(schema).read_bytes()
    if isinstance(schema, str):
        is_text = schema.lstrip().startswith("[")
        return schema.encode() if is_text else Path(schema).read_bytes()
    # movici's own schema keeps its attributes by name.
    schema = getattr(schema, "attributes", schema)
    specs: Iterable[Any] = schema.values() if isinstance(schema, Mapping) else schema
    return json.dumps([_plain_spec(spec) for spec in specs]).encode()


def schema_from_json(text: bytes) -> list[AttributeSpec]:
    """The specs of a JSON text."""
    specs = json.loads(text)
    return [AttributeSpec(**{**spec, "unit_shape": tuple(spec["unit_shape"])}) for spec in specs]


def timeline(info: Any) -> tuple[float, float, int] | None:
    """The three numbers of a timeline; anything with these attributes is one."""
    if info is None:
        return None
    scale, start = getattr(info, "time_scale", 1.0), getattr(info, "start_time", 0)
    return float(info.reference), float(scale), int(start)
