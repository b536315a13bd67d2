"""Columns of ticks as the library takes them."""

from __future__ import annotations

from decimal import Decimal
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
    """Numbers as float64; of a ``Decimal`` the nearest, and no other is rounded."""
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(item, (float, int, Decimal)) for item in array.flat):
        try:
            values, array = array, array.astype(np.float64)
        except (OverflowError, ValueError) as error:
            raise InvalidError(f"{what}: expected numbers that a float can hold, got another: {error}") from None
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InvalidTypeError(f"{what}: expected numbers, got dtype {array.dtype}")
    if array.ndim != 1:
        raise InvalidTypeError(f"{what}: expected one dimension, got {array.ndim}")
    made = np.ascontiguousarray(array, dtype=np.float64)
    # Of a list numpy has made floats already.
    is_list = not isinstance(values, np.ndarray) or values.dtype.kind == "O"
    if (is_list or array.dtype.kind != "f") and (wide := np.abs(made) >= 2**53).any():
        items = np.asarray(values, dtype=object) if is_list else array
        for number, item in zip(made[wide].tolist(), items[wide].tolist(), strict=True):
            if isinstance(item, (int, np.integer)) and int(item) != number:
                raise InvalidError(f"{what}: expected numbers that a float has exactly, got {item}")
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
