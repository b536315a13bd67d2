"""The average of several signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.series._process import average_series
from siltstone.series._signal import Signal
from siltstone.series._steps import (
    DataProvenance,
    FunctionInfo,
    Parameters,
    ProcessingStep,
    ProcessingType,
)
from siltstone.series._time_series import TimeSeries
from siltstone.series.processing_steps._step import AUTHOR, REFERENCE, VERSION


def average_signals(
    input_signals: list[Signal],
    input_series_names: list[str],
    final_provenance: DataProvenance | Mapping[str, Any] | None = None,
    check_units: bool = True,
) -> list[Signal]:
    """The mean at each time that one of the series has; what is missing is left out.

    Parameters
    ----------
    input_signals : list of Signal
        One for each name.
    input_series_names : list of str
        The full names of the series.
    final_provenance : DataProvenance, optional
        That of the new signal; the first signal's, if it is None.
    check_units : bool
        Whether signals of several units are refused; else the new one has the unit of the first.

    Returns
    -------
    list of Signal
        One, ``AVERAGE``.

    Raises
    ------
    ValueError
        For signals of several units, or a time that one series has twice.
    IndexError
        For an index of something else than times or time spans.
    """
    if not isinstance(input_signals, (list, tuple)) or not all(isinstance(one, Signal) for one in input_signals):
        raise InvalidTypeError(f"input_signals: expected a list of signals, got {type(input_signals).__name__}")
    units = list(dict.fromkeys(signal.units for signal in input_signals))
    if check_units and len(units) > 1:
        raise InvalidError(f"the signals to average: expected signals of one unit, got {', '.join(units)}")
    pairs = zip(input_signals, input_series_names, strict=True)
    series = average_series([signal[name].series for signal, name in pairs])
    if final_provenance is None:
        given = input_signals[0].provenance.model_dump()
        # The number of a description names one source, and this is of several.
        final_provenance = {**given, "metadata_id": None} if len(input_signals) > 1 else given
    step = ProcessingStep(
        type=ProcessingType.DIMENSIONALITY_REDUCTION,
        description="The mean of several signals at each time",
        function_info=FunctionInfo("average signals", VERSION, AUTHOR, REFERENCE),
        parameters=Parameters(),
        suffix="RAW",
        input_series_names=list(input_series_names),
    )
    if isinstance(final_provenance, DataProvenance):
        final_provenance = final_provenance.model_dump()
    made = TimeSeries(series.rename("RAW"), [step])
    return [Signal(made, name="AVERAGE", units=units[0], provenance=dict(final_provenance))]
