"""The documented exception, which each of siltstone's own is here as well."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from siltstone import errors
from siltstone.errors import SiltstoneError

_Call = TypeVar("_Call", bound=Callable[..., Any])


class SQLiteStorageError(SiltstoneError):
    """Anything that the memory store refuses. Nothing was written.

    It is also the class of :mod:`siltstone.errors` that says what is wrong: a ``BusyError``, an ``InvalidError`` (and
    so a ``ValueError``), and so on.
    """


def _both(name: str) -> type[SQLiteStorageError]:
    kind = getattr(errors, name)
    return type(name, (SQLiteStorageError, kind), {"__doc__": kind.__doc__, "__module__": __name__})


_BOTH = {getattr(errors, name): _both(name) for name in errors.__all__ if name != "SiltstoneError"}
_BOTH[SiltstoneError] = SQLiteStorageError


def documented(error: Exception) -> Exception:
    """The documented exception for one of ours; any other as it is."""
    if isinstance(error, SQLiteStorageError) or not isinstance(error, SiltstoneError):
        return error
    return _BOTH.get(type(error), SQLiteStorageError)(str(error))


def documented_errors(call: _Call) -> _Call:
    """Make a call raise only :class:`SQLiteStorageError`."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except SQLiteStorageError:
            raise
        except SiltstoneError as error:
            raise documented(error) from error

    return wrapped  # type: ignore[return-value]
