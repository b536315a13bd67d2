"""Signals that go out of a dataset and come into it: what a function gets and makes, and copies of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import InvalidTypeError
from siltstone.series._inputs import SeriesByName, function_name
from siltstone.series._signal import Signal
from siltstone.series._time_series import TimeSeries, points_for

if TYPE_CHECKING:
    from siltstone.series._dataset import Dataset


def one_series(signal: Signal, series: TimeSeries) -> Signal:
    """A signal of one series, for a function that may change it."""
    made = Signal(name=signal.name, units=signal.units, provenance=signal.provenance.model_dump(), more=signal.more)
    copy = TimeSeries(points_for(series), series.processing_steps, metadata_id=series.metadata_id)
    made.time_series = SeriesByName(signal.name, [(series._full, copy)])
    return made


def made_by(function: Any, made: Any) -> list[Signal]:
    """What a function made, if it is what the protocol says."""
    what = f"what the function {function_name(function)!r} returns"
    if not isinstance(made, (list, tuple)):
        raise InvalidTypeError(f"{what}: expected a list of Signal, got {type(made).__name__}")
    for one in made:
        if not isinstance(one, Signal):
            raise InvalidTypeError(f"{what}: expected a list of Signal, got a {type(one).__name__} in it")
    return list(made)


def name_series(signal: Signal, name: str) -> None:
    """Gives the series of a new signal this base, numbered in their order."""
    base = _siltstone.series_split(name)[0]
    names = enumerate(list(signal.time_series), start=1)
    signal._follow([(full, Signal.make_ts_name(signal.name, base, i)) for i, full in names])


def copy_to(dataset: Dataset, backend: Any) -> None:
    """Writes all of it into an empty backend, which it does not belong to afterwards."""
    copy = type(dataset)(dataset.name)
    copy.__dict__.update({**dataset.__dict__, "signals": {}, "_home": None, "_known": None})
    for signal in dataset:
        own = Signal(name=signal.name)
        own.__dict__.update({**signal.__dict__, "_home": None, "_known": None, "_removed": []})
        own.time_series = SeriesByName(signal.name)
        for name, series in signal.time_series.items():
            twin = TimeSeries(series.series)
            twin.__dict__.update(
                {**series.__dict__, "_series": series.series, "_home": None, "_known": None, "_unsaved": True}
            )
            own.time_series[name] = twin
        copy.signals[own.name] = own
    copy.set_backend(backend)
