"""Errors of buffered updates that were not reported."""

from __future__ import annotations

import atexit
import os
import warnings
import weakref

from siltstone import _siltstone
from siltstone.errors import SiltstoneError


class UnreportedErrors:
    """Reports what a flush or close of a handle would have raised."""

    def __init__(self, inner: _siltstone.SimulationDatabase) -> None:
        self._inner = inner
        self._pid = os.getpid()
        _all.add(self)

    def report(self) -> None:
        """Warn of an update that failed after it was acknowledged. Once; a closed handle has reported it."""
        if self._pid != os.getpid() or self._inner.closed:
            return
        try:
            self._inner.flush()
        except SiltstoneError as error:
            text = f"{self._inner.path}: an acknowledged update was not stored: {error}."
            hint = "Close the database to have this raised."
            warnings.warn(f"{text} {hint}", RuntimeWarning, stacklevel=2)


_all: weakref.WeakSet[UnreportedErrors] = weakref.WeakSet()


@atexit.register
def _report_all() -> None:
    for errors in list(_all):
        errors.report()
