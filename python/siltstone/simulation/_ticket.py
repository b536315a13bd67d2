"""A write on its way."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any, NamedTuple

from siltstone import _siltstone
from siltstone.errors import SiltstoneError

#: How often tickets of other files than that of the oldest one are looked at, in seconds.
_CHECK_EVERY = 0.01


class Ticket:
    """The answer to a submitted update: wait for it, or ``await`` it.

    Dropping the ticket does not stop the write. Awaiting it never holds the event loop, and takes none
    of the loop's own threads, however many tickets are awaited. Neither :meth:`done` waits.
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
        if not self.done():
            yield from _waiter.wait(self._inner).__await__()
        return self.wait()

    def __repr__(self) -> str:
        return f"Ticket(done={self.done()})"


class _Awaited(NamedTuple):
    ticket: _siltstone.Ticket
    loop: asyncio.AbstractEventLoop
    answered: asyncio.Future[None]

    def report(self) -> bool:
        """Wakes the loop if the answer is there; whether there is nothing left to wait for."""
        if self.answered.done() or self.loop.is_closed():
            return True
        if not self.ticket.done():
            return False
        with suppress(RuntimeError):  # the loop was closed just now
            self.loop.call_soon_threadsafe(self._wake)
        return True

    def _wake(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)


class _Waiter:
    """One thread that waits for all awaited tickets, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: list[_Awaited] = []
        self._thread: threading.Thread | None = None

    async def wait(self, ticket: _siltstone.Ticket) -> None:
        """Wait until the ticket has its answer."""
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        with self._lock:
            self._new.append(_Awaited(ticket, loop, answered))
            # What an interrupt keeps from being started is started by the next; two of them share the work.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="siltstone-await")
                self._thread.start()
        await answered

    def _run(self) -> None:
        waiting: list[_Awaited] = []
        while True:
            with self._lock:
                waiting += self._new
                self._new.clear()
                if not waiting:
                    self._thread = None
                    return
            # The tickets of a file are answered in order.
            with suppress(SiltstoneError):  # an answer too: the ticket gives it again to whoever awaits it
                waiting[0].ticket.wait(_CHECK_EVERY)
            waiting = [awaited for awaited in waiting if not awaited.report()]


_waiter = _Waiter()


def _forget() -> None:
    global _waiter
    _waiter = _Waiter()  # the thread is not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
