"""JSON of a file, in which what JSON does not have is an object: ``{"$silt": "float", "value": "nan"}``."""

from __future__ import annotations

import json
from typing import Any

_TAG = "$silt"
_KINDS = {"float": float, "int": int, "dict": dict}


def loads(text: str) -> Any:
    """The value of a JSON text, every number as it was."""
    return json.loads(text, object_hook=_plain) if _TAG in text else json.loads(text)


def _plain(found: dict[str, Any]) -> Any:
    if found.keys() != {_TAG, "value"} or found[_TAG] not in _KINDS:
        return found
    try:
        return _KINDS[found[_TAG]](found["value"])
    except (TypeError, ValueError):
        return found  # somebody else's
