"""What is known of datasets, signals and series beside their points: records that a store keeps as JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import json
import textwrap
from typing import Any, TypeVar

from siltstone import _siltstone
from siltstone.errors import InvalidError
from siltstone.series import _metadata

R = TypeVar("R", bound="Record")


def now() -> dt.datetime:
    """The time now, of UTC, with microseconds."""
    return dt.datetime.fromisoformat(_siltstone.series_now())


class ProcessingType(str, enum.Enum):
    """The kind of a processing step."""

    SORTING = "sorting"
    REMOVE_DUPLICATES = "remove_duplicates"
    SMOOTHING = "smoothing"
    FILTERING = "filtering"
    RESAMPLING = "resampling"
    GAP_FILLING = "gap_filling"
    PREDICTION = "prediction"
    TRANSFORMATION = "transformation"
    DIMENSIONALITY_REDUCTION = "dimensionality_reduction"
    FAULT_DETECTION = "fault_detection"
    FAULT_IDENTIFICATION = "fault_identification"
    FAULT_DIAGNOSIS = "fault_diagnosis"
    EXPORT_RENAME = "export_rename"
    OTHER = "other"

    def __str__(self) -> str:
        return self.value


@dataclasses.dataclass(eq=False)
class Record:
    """What all records have: JSON there and back, without a loss.

    ``more`` holds what a record has beyond the fields that this version knows. Two records of the same JSON are
    equal: NaN is itself, and so is a numpy array.
    """

    more: dict[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.model_dump_json() == other.model_dump_json()

    __hash__ = None  # type: ignore[assignment]

    def model_dump(self) -> dict[str, Any]:
        """The record as a dictionary of its fields."""
        known = {
            field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self) if field.name != "more"
        }
        return {**known, **self.more}

    def model_dump_json(self) -> str:
        """The record as JSON: :meth:`model_validate_json` gives it back equal."""
        return _metadata.encode(self.model_dump())

    @classmethod
    def model_validate(cls: type[R], fields: dict[str, Any]) -> R:
        """The record of a dictionary."""
        names = {field.name for field in dataclasses.fields(cls)} - {"more"}
        known = {name: value for name, value in fields.items() if name in names}
        more = {name: value for name, value in fields.items() if name not in names}
        return cls(**known, more=more)

    @classmethod
    def model_validate_json(cls: type[R], text: str) -> R:
        """The record of a JSON text."""
        return cls.model_validate(_metadata.decode(text))


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.model_dump()
    if isinstance(value, Parameters):
        return value.as_dict()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@dataclasses.dataclass(eq=False)
class DataProvenance(Record):
    """Where the points of a signal come from."""

    source_repository: str | None = None
    project: str | None = None
    location: str | None = None
    equipment: str | None = None
    parameter: str | None = None
    purpose: str | None = None
    metadata_id: str | None = None


@dataclasses.dataclass(eq=False)
class FunctionInfo(Record):
    """The function of a processing step.

    Parameters
    ----------
    name, version, author, reference : str
        What it is called, its version, who wrote it, where it is described.
    source_code : str, optional
        Its source text; a store keeps it once, whatever the number of steps that have it.
    """

    name: str = ""
    version: str = ""
    author: str = ""
    reference: str = ""
    source_code: str | None = None

    @classmethod
    def of(cls, function: Any, version: str = "", author: str = "", reference: str = "") -> FunctionInfo:
        """A function's name and source text, where that can be had."""
        name = getattr(function, "__qualname__", type(function).__qualname__)
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            source = None  # it was typed into an interpreter, or is no Python
        return cls(name, version, author, reference, source)

    def model_dump(self) -> dict[str, Any]:
        """The record as a dictionary; without a source text if there is none."""
        fields = super().model_dump()
        if self.source_code is None:
            del fields["source_code"]
        return fields


class Parameters:
    """What a function was given beside the series.

    Parameters
    ----------
    **parameters
        What metadata may hold: texts, numbers, lists, tuples, dictionaries, times, numpy arrays and scalars.

    Raises
    ------
    siltstone.errors.InvalidTypeError
        For a value that could not be stored and come back equal.
    """

    def __init__(self, **parameters: Any) -> None:
        _metadata.encode(parameters)
        self.__dict__.update(parameters)

    def as_dict(self) -> dict[str, Any]:
        """The parameters by name."""
        return dict(self.__dict__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameters):
            return NotImplemented
        return _metadata.encode(self.as_dict()) == _metadata.encode(other.as_dict())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"Parameters({named})"


@dataclasses.dataclass(eq=False)
class ProcessingStep(Record):
    """One step of the history of a series.

    Parameters
    ----------
    type : ProcessingType
        Its kind.
    description : str
        What was done, in words.
    run_datetime : datetime
        When; now, if it is not said.
    requires_calibration : bool
        Whether it needs a calibration.
    function_info : FunctionInfo
        The function that did it.
    parameters : Parameters or dict, optional
        What it was given beside the series.
    step_distance : int
        How many steps of the index the values are ahead: 1 for a prediction of the next point.
    suffix : str
        What the series it makes is called.
    input_series_names : list of str
        The full names of the series it was given.
    output_series_name : str, optional
        The full name of the series it made; the signal says it.
    """

    type: ProcessingType = ProcessingType.OTHER
    description: str = ""
    run_datetime: dt.datetime = dataclasses.field(default_factory=now)
    requires_calibration: bool = False
    function_info: FunctionInfo = dataclasses.field(default_factory=FunctionInfo)
    parameters: Parameters | None = None
    step_distance: int = 0
    suffix: str = ""
    input_series_names: list[str] = dataclasses.field(default_factory=list)
    output_series_name: str | None = None

    def __post_init__(self) -> None:
        try:
            self.type = ProcessingType(self.type)
        except ValueError:
            kinds = ", ".join(kind.value for kind in ProcessingType)
            raise InvalidError(f"the type of a processing step: expected one of {kinds}, got {self.type!r}") from None
        if isinstance(self.function_info, dict):
            self.function_info = FunctionInfo.model_validate(self.function_info)
        if isinstance(self.parameters, dict):
            self.parameters = Parameters(**self.parameters)
        if isinstance(self.run_datetime, str):
            self.run_datetime = _time(self.run_datetime)

    def model_dump(self) -> dict[str, Any]:
        """The step as a dictionary."""
        fields = super().model_dump()
        if self.output_series_name is None:
            del fields["output_series_name"]
        return fields


def _time(text: str) -> Any:
    """A time of a record; a text that is none stays what it is."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return text


@dataclasses.dataclass(eq=False)
class ProcessingConfig(Record):
    """Steps that belong together."""

    steps: list[ProcessingStep] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class IndexMetadata(Record):
    """What is known of an index beside its values."""

    type: str = ""
    name: str | None = None
    frequency: str | None = None
    time_zone: str | None = None
    closed: str | None = None
    categories: list[Any] | None = None
    ordered: bool | None = None
    start: int | None = None
    end: int | None = None
    step: int | None = None
    dtype: str | None = None

    @classmethod
    def extract_index_metadata(cls, index: Any) -> IndexMetadata:
        """What is known of a pandas index."""
        import pandas as pd

        from siltstone.series import _convert

        known = _convert.from_pandas(pd.Series(range(len(index)), index=index))[2]
        return cls.model_validate(json.loads(known))


def steps_json(steps: list[ProcessingStep]) -> str:
    """Steps as a JSON list."""
    return "[" + ",".join(step.model_dump_json() for step in steps) + "]"


def steps_of(text: str) -> list[ProcessingStep]:
    """Steps of a JSON list."""
    rich = _metadata.decode('{"steps":' + text + "}")["steps"]
    return [ProcessingStep.model_validate(step) for step in rich]
