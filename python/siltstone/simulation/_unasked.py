"""Errors of buffered updates that nobody asked for."""

from __future__ import annotations

import atexit
import os
import warnings
import weakref

from siltstone import _siltstone
from siltstone.errors import SiltstoneError


class UnaskedErrors:
    """Tells what a handle would have raised, had anyone flushed or closed it."""

    def __init__(self, inner: _siltstone.SimulationDatabase) -> None:
        self._inner = inner
        self._pid = os.getpid()
        _all.add(self)

    def tell(self) -> None:
        """Warn of an update that failed after it was acknowledged. Once; a closed handle has told."""
        if self._pid != os.getpid() or self._inner.closed:
            return
        try:
            self._inner.flush()
        except SiltstoneError as error:
            text = f"{self._inner.path}: an acknowledged update was not stored: {error}."
            hint = "Close the database to have this raised."
            warnings.warn(f"{text} {hint}", RuntimeWarning, stacklevel=2)


_all: weakref.WeakSet[UnaskedErrors] = weakref.WeakSet()


@atexit.register
def _tell_all() -> None:
    for errors in list(_all):
        errors.tell()
