"""What is handed to signals and datasets, and what functions over their series take and make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from siltstone import _siltstone
from siltstone.errors import InvalidTypeError, NotFoundError
from siltstone.series._steps import FunctionInfo, ProcessingStep
from siltstone.series._time_series import TimeSeries, steps_in

if TYPE_CHECKING:
    import pandas as pd

    from siltstone.series._signal import Signal


class SignalTransformFunctionProtocol(Protocol):
    """A function over series of one signal."""

    def __call__(
        self, input_series: list[pd.Series], *args: Any, **kwargs: Any
    ) -> list[tuple[pd.Series, list[ProcessingStep]]]:
        """The series it makes, each with what was done."""


class DatasetTransformFunctionProtocol(Protocol):
    """A function over series of several signals."""

    def __call__(
        self, input_signals: list[Signal], input_series_names: list[str], *args: Any, **kwargs: Any
    ) -> list[Signal]:
        """The signals it makes."""


class SeriesByName(dict[str, TimeSeries]):
    """The series of a signal by full name, in the order in which they were made.

    A part of the name finds a series too, if it is the only one: ``RAW#1``, or ``RAW``.
    """

    def __init__(self, signal: str, series: Iterable[tuple[str, TimeSeries]] = ()) -> None:
        super().__init__(series)
        self._signal = signal

    def copy(self) -> SeriesByName:
        """The same series in another dictionary."""
        return SeriesByName(self._signal, self.items())

    def _full(self, name: object) -> str | None:
        if not isinstance(name, str) or super().__contains__(name):
            return name if isinstance(name, str) else None
        return _siltstone.series_find(self._signal, list(self), name)

    def __missing__(self, name: object) -> TimeSeries:
        full = self._full(name)
        if full is None or full == name:
            raise NotFoundError(f"the series {name!r} is not in the signal {self._signal!r}")
        return self[full]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._full(name) not in (None, name)

    def get(self, name: Any, default: Any = None) -> Any:
        """A series, or `default` if there is none of that name."""
        return self[name] if name in self else default  # noqa: SIM401 - dict.get knows full names only


def given_series(data: Any) -> list[TimeSeries]:
    import pandas as pd

    if data is None:
        return []
    if isinstance(data, TimeSeries):
        made = TimeSeries(data.series, data.processing_steps, metadata_id=data.metadata_id, more=data.more)
        made.created_on = data.created_on
        return [made]
    if isinstance(data, pd.Series):
        return [TimeSeries(data)]
    if isinstance(data, pd.DataFrame):
        return [TimeSeries(data[name].rename(str(name))) for name in data.columns]
    if isinstance(data, Mapping):
        return [_named(one, str(name)) for name, item in data.items() for one in given_series(item)]
    if isinstance(data, (list, tuple)):
        return [one for item in data for one in given_series(item)]
    raise InvalidTypeError(
        "the data of a signal: expected a pandas Series or DataFrame, a TimeSeries, or a list or dictionary "
        f"of them, got {type(data).__name__}"
    )


def _named(series: TimeSeries, name: str) -> TimeSeries:
    series._name = name
    return series


def series_by_key(series: Any) -> list[tuple[str, TimeSeries]]:
    if series is None:
        return []
    if not isinstance(series, Mapping) or not all(
        isinstance(name, str) and isinstance(one, TimeSeries) for name, one in series.items()
    ):
        kind = type(series).__name__
        raise InvalidTypeError(f"time_series: expected a dictionary of TimeSeries by name, got {kind}")
    return [(name, *given_series(one)) for name, one in series.items()]


def text_of(what: str, text: Any) -> str:
    """A text, and nothing else."""
    if not isinstance(text, str):
        raise InvalidTypeError(f"{what}: expected a text, got {type(text).__name__}")
    return text


def names_of(names: Iterable[str]) -> list[str]:
    """A list of names; a text is none."""
    if isinstance(names, str):
        raise InvalidTypeError(f"the names: expected a list of names, got the text {names!r}")
    if not isinstance(names, Iterable):
        raise InvalidTypeError(f"the names: expected a list of names, got {type(names).__name__}")
    return [text_of("a name", name) for name in names]


def function_name(function: Any) -> str:
    """What a function is called in an error."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def pairs_by(function: Any, made: Any) -> list[tuple[pd.Series, list[ProcessingStep]]]:
    """What a function made, if it is what the protocol says."""
    import pandas as pd

    what = f"what the function {function_name(function)!r} returns"
    expected = "expected a list of pairs (pandas Series, list of ProcessingStep)"
    if not isinstance(made, (list, tuple)):
        raise InvalidTypeError(f"{what}: {expected}, got {type(made).__name__}")
    for pair in made:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise InvalidTypeError(f"{what}: {expected}, got a {type(pair).__name__} in the list")
        if not isinstance(pair[0], pd.Series):
            raise InvalidTypeError(f"{what}: {expected}, got a {type(pair[0]).__name__} as the series of a pair")
        steps_in(what, pair[1])
    return list(made)


def with_source(steps: Iterable[ProcessingStep], function: Any) -> list[ProcessingStep]:
    """Steps that name no function get the one that was run."""
    steps = list(steps)
    for step in steps:
        if step.function_info == FunctionInfo():
            step.function_info = FunctionInfo.of(function)
    return steps
