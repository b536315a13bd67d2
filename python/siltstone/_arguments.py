"""Errors that name the argument: what the compiled half and others raise for a wrong one, as errors of siltstone.

Nothing here is run unless a call has failed: a good call costs one more call of Python.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol

from siltstone.errors import InvalidError, InvalidTypeError, SiltstoneError, StorageError

#: What the compiled half notes at an error of an argument that it could not take.
_NOTE = re.compile(r"while processing '(\w+)'")
#: What it says of a field of an object that it could not take.
_FIELD = re.compile(r"failed to extract field \w+\.(\w+)")
#: What is raised for an argument; everything else is no matter of arguments.
_RAW = (TypeError, ValueError, OverflowError, AttributeError, OSError)
_HERE = str(Path(__file__).parent)
#: Libraries that the package hands arguments on to.
_LIBRARIES = tuple(
    f"{os.sep}{name}"
    for name in (
        *("pandas", "numpy", "polars", "pyarrow", "xarray", "plotly", "_plotly_utils"),
        *("json", "pathlib", "enum.py", "posixpath", "tempfile"),
    )
)


def mark(**given: str | None) -> str | None:
    """Refuse what is no single character, by its name."""
    ((name, value),) = given.items()
    if value is not None and not (isinstance(value, str) and len(value) == 1):
        raise InvalidTypeError(f"{name}: expected one character, got {value!r}")
    return value


_WORDS = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "None": "None",
    "Iterable": "a list",
    "Sequence": "a list",
    "list": "a list",
    "Mapping": "a dictionary",
    "dict": "a dictionary",
    "Callable": "a function",
    "PathLike": "a path",
    "Path": "a path",
    "tuple": "a tuple",
}
_FITS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, numbers.Integral) or hasattr(value, "__index__"),
    "float": lambda value: isinstance(value, numbers.Real) or hasattr(value, "__float__"),
    "bool": lambda value: isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"),
    "None": lambda value: value is None,
    "Iterable": lambda value: isinstance(value, Iterable),
    "Sequence": lambda value: isinstance(value, Sequence) and not isinstance(value, str),
    "list": lambda value: isinstance(value, list),
    "Mapping": lambda value: isinstance(value, Mapping),
    "dict": lambda value: isinstance(value, Mapping),
    "Callable": callable,
    "PathLike": lambda value: isinstance(value, (str, os.PathLike)),
    "Path": lambda value: isinstance(value, (str, os.PathLike)),
    "tuple": lambda value: isinstance(value, tuple),
}


def name_them(*modules: ModuleType, **documented: Callable[[Exception], Exception]) -> None:
    """Have public classes and functions of modules name wrong arguments.

    `documented` makes a module's own errors of ours.
    """
    for module in modules:
        own = documented.get(module.__name__.rpartition(".")[2], lambda error: error)
        for name in getattr(module, "__all__", ()):
            one = getattr(module, name)
            if isinstance(one, type) and not issubclass(one, BaseException):
                _name_in(one, own)
            elif inspect.isfunction(one) and not hasattr(one, "_names_arguments"):
                made = _naming(one, own)
                # Where it is defined too: a pickle finds it there.
                for owner in (module, sys.modules[one.__module__]):
                    setattr(owner, name, made)


def _name_in(kind: type, own: Callable[[Exception], Exception]) -> None:
    for base in kind.__mro__:
        if not base.__module__.startswith("siltstone.") or Protocol in base.__bases__:
            continue
        for name, method in list(vars(base).items()):
            if name.startswith("_") and name != "__init__":
                continue
            if isinstance(method, property) and method.fset and not hasattr(method.fset, "_names_arguments"):
                setattr(base, name, method.setter(_naming(method.fset, own)))
            plain = getattr(method, "__func__", method)
            if not inspect.isfunction(plain) or hasattr(plain, "_names_arguments"):
                continue
            made = _naming(plain, own)
            wrapped = type(method)(made) if isinstance(method, (staticmethod, classmethod)) else made
            try:
                setattr(base, name, wrapped)
            except (AttributeError, TypeError):
                break  # a class of the compiled half


def _naming(function: Callable[..., Any], own: Callable[[Exception], Exception]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except _RAW as error:
            told = named(error, function, args, kwargs)
            if told is None:
                raise
            raised = own(told)
        # Not within the handler: the raw error is no news to anybody.
        raise raised

    call._names_arguments = True  # type: ignore[attr-defined]
    return call


def named(
    error: Exception, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> SiltstoneError | None:
    """The error of ours that says of which argument a raw one tells; None for one of ours, or of none."""
    if isinstance(error, SiltstoneError) or (isinstance(error, OSError) and error.errno is None):
        return None  # what is raised without a number, a TimeoutError, is meant so
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return None  # Python's own error names the argument
    noted = [found[1] for note in getattr(error, "__notes__", ()) if (found := _NOTE.match(note))]
    if not noted and not _is_of_arguments(error.__traceback__):
        return None
    for name, parameter in inspect.signature(function).parameters.items():
        if name in given and (expected := _misfit(parameter.annotation, given[name])):
            return InvalidTypeError(f"{name}: expected {expected}, got {_shown(given[name])}")
    if isinstance(error, UnicodeError):
        broken = next((name for name, value in given.items() if _is_broken(value)), noted[0] if noted else None)
        where = f"{broken}: " if broken else ""
        return InvalidError(f"{where}expected a text that UTF-8 can hold, got half a surrogate pair")
    if noted and (field := _FIELD.search(str(error))) and noted[0] in given:
        name, holder, options = field[1], given[noted[0]], given.get("options", {})
        if not hasattr(holder, name):
            # It was made of the argument itself, and of options.
            name, value, holder = (name, options[name], None) if name in options else (noted[0], holder, None)
        else:
            value = getattr(holder, name)
        if isinstance(error.__cause__, OverflowError):
            return InvalidError(f"{name}: expected an integer of its range, got {_shown(value)} ({error.__cause__})")
        known = getattr(type(holder), "__annotations__", {})
        expected = _misfit(known.get(name), value) or "another value"
        return InvalidTypeError(f"{name}: expected {expected}, got {_shown(value)}")
    if noted:
        name = noted[0]
        value = _shown(given[name]) if name in given else "another value"
        if isinstance(error, OverflowError):
            return InvalidError(f"{name}: expected an integer of its range, got {value} ({error})")
        return InvalidTypeError(f"{name}: {error}")
    names = ", ".join(name for name in given if name not in ("self", "cls"))
    if isinstance(error, OSError):
        return StorageError(f"{names}: {error}")
    if isinstance(error, AttributeError):
        return InvalidTypeError(f"{names}: expected other types ({error})")
    kind = InvalidTypeError if isinstance(error, TypeError) else InvalidError
    return kind(f"{names}: {error}")


def _is_of_arguments(traceback: TracebackType | None) -> bool:
    """Whether nobody but the package, and libraries that it hands arguments on to, ran where an error was raised."""
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        # What Cython made has no folder: pandas/_libs/tslibs/timestamps.pyx
        if not path.startswith((_HERE, "<")) and not any(part in os.sep + path for part in _LIBRARIES):
            return False
        traceback = traceback.tb_next
    return True


def _misfit(annotation: Any, value: Any) -> str | None:
    """What was expected in the words of errors, if a value does not fit an annotation; None if it does, or may."""
    if not isinstance(annotation, str):
        return None
    parts = [part.strip() for part in re.split(r"\|(?![^\[]*\])", annotation)]
    heads = [part.partition("[")[0].rpartition(".")[2] for part in parts]
    if not heads or any(head not in _FITS for head in heads):
        return None
    if any(_FITS[head](value) for head in heads):
        inner = {part: part.partition("[")[2].rstrip("]") for part in parts}
        for part, head in zip(parts, heads, strict=True):
            # Of a list of texts each is a text.
            if head in ("Iterable", "Sequence", "list") and inner[part] in _FITS and isinstance(value, (list, tuple)):
                for item in value:
                    if not _FITS[inner[part]](item):
                        return f"a list of which each is {_WORDS[inner[part]]}"
        return None
    return " or ".join(dict.fromkeys(_WORDS[head] for head in heads))


def _is_broken(value: Any) -> bool:
    if not isinstance(value, (str, os.PathLike)):
        return False
    try:
        os.fsencode(value).decode()
    except UnicodeError:
        return True
    return False


def _shown(value: Any) -> str:
    try:
        shown = repr(value)
    except Exception:
        shown = "one"
    kind = type(value).__name__
    return f"{shown} ({kind})" if len(shown) <= 60 else f"{shown[:40]}... ({kind})"
