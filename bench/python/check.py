"""Whether what came back is what went in: every array by dtype, shape and the sum of its bits."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import zip_longest

import numpy as np

from gen import Update

NOT_GROUPS = {"timestamp", "iteration", "origin"}


def different_updates(got: Iterable[dict], want: Iterable[Update]) -> str | None:
    """Return the first difference as a sentence, or None if there is none."""
    for index, (back, update) in enumerate(zip_longest(got, want)):
        where = f"update {index}"
        if back is None or update is None:
            return f"{where} is {'missing' if back is None else 'one too many'}."
        key = (back["timestamp"], back["iteration"])
        if key != (update.timestamp, update.iteration):
            return f"{where} has the key {key}, expected {(update.timestamp, update.iteration)}."
        if (groups := set(back) - NOT_GROUPS) != set(update.data):
            return f"{where} has the groups {sorted(groups)}, expected {sorted(update.data)}."
        for group, columns in update.data.items():
            if found := different_columns(back[group], columns):
                return f"{where}, group {group!r}: {found}"
    return None


def different_columns(got: dict, want: dict) -> str | None:
    """Return the first difference between two `{attribute: {"data": array}}`, or None."""
    if set(got) != set(want):
        return f"the attributes are {sorted(got)}, expected {sorted(want)}."
    for name, column in want.items():
        if _sum(got[name]["data"]) != _sum(column["data"]):
            return f"attribute {name!r} differs in dtype, shape or bits."
    return None


def _sum(array: np.ndarray) -> str:
    digest = blake2b(f"{array.dtype.str} {array.shape} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
