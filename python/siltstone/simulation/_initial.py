"""Initial datasets as they are handed in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np


class DatasetFormat(str, Enum):
    """How an initial dataset is kept."""

    ENTITY_BASED = "entity_based"
    UNSTRUCTURED = "unstructured"
    BINARY = "binary"


#: The name that movici gives it.
DatasetFormat_ = DatasetFormat


def to_json(data: Any) -> bytes:
    """JSON text of a dict that may hold numpy values.

    NaN in a list or array is null, movici's undefined value. A single NaN and infinities stand as Python's ``json``
    writes them.
    """
    text = json.dumps(_plain(data), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _plain(value: Any) -> Any:
    if isinstance(value, float):  # np.float64 too
        return float(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [None if _is_nan(item) else _plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")
