"""What the functions have in common: each makes one series of each, with one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from siltstone.series._steps import FunctionInfo, Parameters, ProcessingStep, ProcessingType

if TYPE_CHECKING:
    import pandas as pd

VERSION = "0.1"
AUTHOR = "Siltstone"
REFERENCE = "https://github.com/siltstone/siltstone"

#: What a function over series of one signal gives.
Made = list[tuple["pd.Series", list[ProcessingStep]]]


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
    for series in input_series:
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
