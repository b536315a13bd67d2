"""Moving through time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from siltstone import _siltstone
from siltstone.simulation._state import State
from siltstone.simulation._time import Time, timestamp_of


class Cursor:
    """A cursor in time in one entity group; it moves forwards and backwards.

    It holds one state of one group, and no lock on the file: an update that is written meanwhile
    is seen by the next move. Get one from :meth:`SimulationDatabase.cursor`.
    """

    def __init__(self, inner: _siltstone.Cursor, dataset: str, group: str, source: Any = None) -> None:
        self._inner = inner
        self._source = source
        self.dataset = dataset
        self.group = group

    @property
    def timestamp(self) -> int:
        """Where the cursor stands."""
        return self._inner.timestamp

    def state(self) -> State:
        """The state where the cursor stands."""
        state = self._inner.state()
        return State(state, self.dataset, self.group, self.timestamp, self._source)

    def move_to(self, timestamp: Time) -> State:
        """Move to a time (an integer, or a calendar time), and return the state there."""
        self._inner.move_to(timestamp_of(timestamp))
        return self.state()

    def next(self) -> State | None:
        """Move to the next timestamp at which the group changes; None if there is none."""
        return None if self._inner.next_change() is None else self.state()

    def previous(self) -> State | None:
        """Move to the change before; before the first one to the initial state; None if there."""
        return None if self._inner.previous_change() is None else self.state()

    def __iter__(self) -> Iterator[State]:
        """The states at all later changes."""
        while (state := self.next()) is not None:
            yield state

    def __repr__(self) -> str:
        return f"Cursor({self.dataset!r}, {self.group!r}, timestamp={self.timestamp})"
