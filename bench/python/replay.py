"""A state by applying every update in turn: all that a store without an index can do."""

from collections.abc import Iterable

import numpy as np


def replay(updates: Iterable[dict], group: str, timestamp: int) -> dict:
    """Return the state of `group` after `timestamp`; `updates` are in order of time."""
    ids = np.empty(0, np.int64)
    state: dict[str, np.ndarray] = {}
    for update in updates:
        if update["timestamp"] > timestamp:
            break
        columns = update.get(group)
        if columns is None:
            continue
        changed = columns["id"]["data"]
        if not np.array_equal(ids, changed):
            known = np.union1d(ids, changed)
            if len(known) > len(ids):
                state = {name: _grown(column, ids, known) for name, column in state.items()}
                ids = known
        at = np.searchsorted(ids, changed)
        for name, column in columns.items():
            if name != "id":
                if name not in state:
                    state[name] = np.full(len(ids), np.nan)
                state[name][at] = column["data"]
    return {"id": {"data": ids}} | {name: {"data": column} for name, column in state.items()}


def _grown(column: np.ndarray, ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    wider = np.full(len(known), np.nan)
    wider[np.searchsorted(known, ids)] = column
    return wider
