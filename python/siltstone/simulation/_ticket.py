"""A write on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from siltstone import _siltstone


class Ticket:
    """The answer to a submitted update: wait for it, or ``await`` it.

    Dropping the ticket does not stop the write.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: _siltstone.Ticket) -> None:
        self._inner = inner

    def done(self) -> bool:
        """Whether the answer is there."""
        return self._inner.done()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the update is acknowledged, and return its row id.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it there is no limit.

        Raises
        ------
        TimeoutError
            If the time is over; the update is still on its way.
        SiltstoneError
            Whatever the write met. Nothing of the update is in the file then.
        """
        found = self._inner.wait(timeout)
        if found is None:
            raise TimeoutError(f"the update was not acknowledged within {timeout} s")
        return found

    def __await__(self) -> Generator[Any, None, int]:
        if self.done():
            return self.wait()
        # A thread waits, so that the loop does not.
        return (yield from asyncio.to_thread(self.wait).__await__())

    def __repr__(self) -> str:
        return f"Ticket(done={self.done()})"
