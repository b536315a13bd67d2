"""What the functions have in common: each makes one series of each, with one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from siltstone.errors import InvalidTypeError
from siltstone.series._steps import FunctionInfo, Parameters, ProcessingStep, ProcessingType

if TYPE_CHECKING:
    import pandas as pd

VERSION = "0.1"
AUTHOR = "Siltstone"
REFERENCE = "https://github.com/siltstone/siltstone"

#: What a function over series of one signal gives.
Made = list[tuple["pd.Series", list[ProcessingStep]]]


def checked(input_series: Any) -> list[pd.Series]:
    """The series, if it is a list of them."""
    import pandas as pd

    if not isinstance(input_series, (list, tuple)):
        got = type(input_series).__name__
        raise InvalidTypeError(f"input_series: expected a list of pandas.Series, got {got}")
    for one in input_series:
        if not isinstance(one, pd.Series):
            raise InvalidTypeError(f"input_series: expected a list of pandas.Series, got {type(one).__name__} in it")
    return list(input_series)


def each(
    input_series: list[pd.Series],
    work: Callable[[pd.Series], pd.Series],
    kind: ProcessingType,
    suffix: str,
    name: str,
    description: str,
    parameters: Callable[[pd.Series], dict[str, Any]] | dict[str, Any] | None = None,
    step_distance: int = 0,
) -> Made:
    """Run a function over each series; each output was made of its own input and of no other."""
    made = []
    for series in checked(input_series):
        given = parameters(series) if callable(parameters) else parameters
        step = ProcessingStep(
            type=kind,
            description=description,
            function_info=FunctionInfo(name, VERSION, AUTHOR, REFERENCE),
            parameters=Parameters(**(given or {})),
            step_distance=step_distance,
            suffix=suffix,
            input_series_names=[str(series.name)],
        )
        made.append((work(series), [step]))
    return made
