"""Columns of ticks as the library takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from siltstone.errors import InvalidError, InvalidTypeError


def is_table(value: Any) -> bool:
    """Whether a value is a table to Arrow: no single column, which offers the same interface."""
    if hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__"):
        return hasattr(value, "columns") or hasattr(value, "schema")
    return False


def floats(what: str, values: Any) -> NDArray[np.float64]:
    """Numbers as float64; nothing is rounded."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InvalidTypeError(f"{what}: expected numbers, got dtype {array.dtype}")
    if array.ndim != 1:
        raise InvalidTypeError(f"{what}: expected one dimension, got {array.ndim}")
    made = np.ascontiguousarray(array, dtype=np.float64)
    if array.dtype.kind != "f" and (wide := np.abs(made) >= 2**53).any():
        for number, integer in zip(made[wide].tolist(), array[wide].tolist(), strict=True):
            if number != integer:
                raise InvalidError(f"{what}: expected numbers that a float has exactly, got {integer}")
    return made


def names(what: str, values: Any) -> str | tuple[list[int], list[str]]:
    """One name for all; or for each tick the index of its name, and the names."""
    if isinstance(values, str):
        return str(values)
    numbers: dict[Any, int] = {}
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    codes = [numbers.setdefault(name, len(numbers)) for name in listed]
    for name in numbers:
        if not isinstance(name, str):
            raise InvalidTypeError(f"{what}: expected texts, got {name!r}")
    return codes, list(numbers)
