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


#: The name that the described system gives it.
DatasetFormat_ = DatasetFormat


def to_json(data: Any) -> bytes:
    """JSON text of a dict that may hold numpy values; NaN and the infinities become null."""
    text = json.dumps(_plain(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float):  # np.float64 too
        return float(value) if np.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")
