"""The exceptions of siltstone. All are a :class:`SiltstoneError`; most are a built-in one as well."""

import re

__all__ = [
    "BusyError",
    "ClosedError",
    "CorruptError",
    "DurabilityUnknownError",
    "ExistsError",
    "InTransactionError",
    "InvalidError",
    "InvalidIndexError",
    "InvalidTypeError",
    "NotFoundError",
    "NotOursError",
    "PanickedError",
    "QueueFullError",
    "ServerError",
    "SiltstoneError",
    "SqliteError",
    "StorageError",
    "TooNewError",
]


#: What the compiled half notes at an error of an argument.
_ARGUMENT = re.compile(r"while processing '(\w+)'")
_LONG = re.compile(r"[^\s\"'/]{600,}")


def _shorter(word: re.Match[str]) -> str:
    return f"{word[0][:100]}... ({len(word[0]):,} characters)"


class SiltstoneError(Exception):
    """Anything that siltstone raises. Its text is a whole sentence."""

    def add_note(self, note: str) -> None:
        """Add a note; that of the argument at which it was raised goes in front of the text, which has no name then."""
        found, text = _ARGUMENT.fullmatch(note), str(self.args[0]) if self.args else ""
        if found and text.startswith("expected "):
            self.args = (f"{found[1]}: {text}",)
        else:
            getattr(super(), "add_note", lambda _: None)(note)  # Python 3.10 has none

    def __str__(self) -> str:
        # KeyError would show the repr of the text. A word of thousands of letters is what someone handed in.
        return _LONG.sub(_shorter, str(self.args[0])) if self.args else ""


class InvalidError(SiltstoneError, ValueError):
    """The caller broke a documented rule. Nothing was written."""


class InvalidIndexError(InvalidError, IndexError):
    """The index of a series is of a kind that the call cannot take. Nothing was written."""


class InvalidTypeError(InvalidError, TypeError):
    """A value has a type that cannot be stored there. Nothing was written."""


class NotFoundError(SiltstoneError, KeyError, ValueError):
    """Nothing has that name. Nothing was changed.

    It is a ``ValueError`` too, since that is what movici, AgentFarm and Godly-AI raise.
    """


class ExistsError(SiltstoneError, FileExistsError):
    """The thing is there already and is replaced only on request. Nothing was changed."""


class NotOursError(SiltstoneError):
    """The file is not SQLite, or the database of another program. It was left untouched."""


class TooNewError(SiltstoneError):
    """The file was written by a newer siltstone. It was left untouched."""


class CorruptError(SiltstoneError):
    """What is stored contradicts itself: a checksum, a length, a reference. Nothing was changed."""


class BusyError(SiltstoneError, TimeoutError):
    """Another process held the file for longer than the time-out. Nothing was written."""


class QueueFullError(SiltstoneError):
    """The write queue is full and the caller asked not to wait. Nothing was written."""


class ClosedError(SiltstoneError):
    """The handle was closed, or belongs to another process (a fork). Nothing was written."""


class InTransactionError(SiltstoneError):
    """It cannot be done while a transaction of this thread is open, or it was, and was rolled back."""


class PanickedError(SiltstoneError):
    """A thread or a job of the library panicked, a fault of the library. What it was writing was rolled back."""


class StorageError(SiltstoneError, OSError):
    """The operating system refused: permission, missing folder, full disk. Nothing was written."""


class DurabilityUnknownError(SiltstoneError, OSError):
    """What was asked for is done and readers see it, but syncing its folder failed: whether it survives a loss of
    power is not known. It is no :class:`StorageError`: whoever does it again does it twice.
    """


class ServerError(SiltstoneError, OSError):
    """A server refused, could not be reached, or went away. Nothing was written, unless it went away while it was
    told to commit: then all of it may have been.
    """


class SqliteError(SiltstoneError):
    """SQLite refused for a reason of its own. Nothing was written."""
