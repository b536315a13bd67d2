"""The workloads: the same updates for every baseline, from a seed, and the state after each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SEED = 20_240_229
DATASET = "network"
GROUP = "segments"


class Update(NamedTuple):
    """One update, in the order in which `store_updates` takes its fields."""

    timestamp: int
    iteration: int
    dataset: str
    data: dict
    origin: str | None


@dataclass(frozen=True)
class Workload:
    """`updates` updates of `touched` out of `rows` entities, each with `attributes` float64."""

    name: str
    updates: int
    attributes: int
    rows: int
    touched: int

    @property
    def middle(self) -> int:
        """The timestamp at which the state is asked for."""
        return self.updates // 2

    @property
    def id_bytes(self) -> int:
        """The bytes of one update's `id` array, which is the same in each where all rows change."""
        return self.touched * 8

    @property
    def value_bytes(self) -> int:
        """The bytes of all attribute values, without ids: what sizes are compared with."""
        return (self.rows + (self.updates - 1) * self.touched) * self.attributes * 8


WORKLOADS = {
    "large": Workload("large", 1_000, 4, 1_000, 1_000),
    "small": Workload("small", 5_000, 2, 10, 10),
    # Each update changes 10 of 1,000 entities, so that a state is gathered from many updates.
    "flat": Workload("flat", 1_000, 2, 1_000, 10),
}


def updates(workload: Workload) -> Iterator[Update]:
    """Yield the updates in order; the first one sets every entity."""
    for timestamp, rows, table in _walk(workload):
        yield Update(timestamp, 0, DATASET, {GROUP: _columns(rows, table[:, rows])}, None)


def state_at(workload: Workload, timestamp: int) -> dict:
    """Return the true state after `timestamp`: the walk itself, not a replay of its updates."""
    every = np.arange(workload.rows)
    for at, _, table in _walk(workload):
        if at == timestamp:
            return _columns(every, table)
    raise ValueError(f"timestamp {timestamp} is not in workload {workload.name!r}")


def _walk(workload: Workload) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(SEED)
    every = np.arange(workload.rows)
    table = np.zeros((workload.attributes, workload.rows))
    for timestamp in range(workload.updates):
        rows = every
        if timestamp > 0 and workload.touched < workload.rows:
            rows = np.sort(rng.choice(workload.rows, workload.touched, replace=False))
        table[:, rows] += rng.standard_normal((workload.attributes, len(rows)))
        yield timestamp, rows, table


def _columns(rows: np.ndarray, values: np.ndarray) -> dict:
    columns = {"id": {"data": (rows + 1).astype(np.int64)}}
    for index, column in enumerate(values):
        columns[f"value_{index}"] = {"data": column.copy()}
    return columns
