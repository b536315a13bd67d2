"""What the handles of all stores have in common: their end, forks, pickles, and how they show themselves."""

from __future__ import annotations

import atexit
import os
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from siltstone import _siltstone
from siltstone.errors import InvalidTypeError, SiltstoneError

H = TypeVar("H", bound="StoreHandle")

#: What is ended when the interpreter ends, how, and what a warning calls it.
_at_exit: weakref.WeakKeyDictionary[Any, tuple[Callable[[Any], object], str]] = weakref.WeakKeyDictionary()


def end_at_exit(inner: Any, end: Callable[[Any], object], title: str) -> None:
    """Have the interpreter's end do this to a handle of the compiled half, which may live longer than ours."""
    _at_exit[inner] = (end, title)


def forget(inner: Any) -> None:
    """It was ended: nothing is left to do."""
    _at_exit.pop(inner, None)


@atexit.register
def _end_all() -> None:
    for inner, (end, title) in reversed(list(_at_exit.items())):  # a run before its database
        try:
            end(inner)
        except SiltstoneError as error:
            warnings.warn(f"{title}: {error}", RuntimeWarning, stacklevel=1)


def _in_child() -> None:
    """In a fork: the stores of the parent are not the child's to write or to end."""
    _siltstone.forked()
    _at_exit.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def failure(error: BaseException | None) -> str | None:
    """What a run that an exception ends says of it."""
    return None if error is None else f"{type(error).__name__}: {error}".rstrip(": ")


class StoreHandle(ABC):
    """A handle on a store, for the process that opened it: a ``with`` block ends it, and a pickle is refused."""

    @abstractmethod
    def _leave(self, error: BaseException | None) -> None:
        """End it, at the end of a block that may have raised."""

    @abstractmethod
    def _shown(self) -> str:
        """What its repr has between the parentheses."""

    def __enter__(self: H) -> H:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._leave(error)
        except Exception as second:
            if error is None:
                raise
            # The first error is the one to raise; this one must not hide it, nor be hidden.
            if hasattr(error, "add_note"):
                error.add_note(f"closing {self!r} failed too: {second}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown()})"

    def __reduce__(self) -> NoReturn:
        raise InvalidTypeError(
            f"pickle: expected what another process can open, got the open handle {self!r}; give it the path, "
            "and open that there"
        )
