"""A series and its history."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.series import _display, _metadata
from siltstone.series._backends import Backend
from siltstone.series._convert import from_pandas, to_pandas
from siltstone.series._place import Place
from siltstone.series._steps import IndexMetadata, ProcessingStep, now, steps_json

if TYPE_CHECKING:
    import pandas as pd


class TimeSeries:
    """A series and its history. The points are loaded when they are touched.

    Parameters
    ----------
    series : pandas.Series
        The points; they are not changed, and not copied.
    processing_steps : list of ProcessingStep, optional
        What was done to it.
    metadata_id : str, optional
        The number of this description in a system of the user's.
    created_on : datetime, optional
        When it was made; now, if it is not said.

    Examples
    --------
    >>> import pandas as pd
    >>> from siltstone.series import TimeSeries
    >>> series = TimeSeries(series=pd.Series([1.0, 2.0], name="RAW"))
    >>> len(series), series.name
    (2, 'RAW')
    """

    def __init__(
        self,
        series: pd.Series | None = None,
        processing_steps: list[ProcessingStep] | None = None,
        *,
        metadata_id: str | None = None,
        created_on: dt.datetime | None = None,
        **more: Any,
    ) -> None:
        import pandas as pd

        if series is not None and not isinstance(series, pd.Series):
            raise InvalidTypeError(f"the series: expected a pandas Series, got {type(series).__name__}")
        self.processing_steps = list(processing_steps or [])
        self.metadata_id = metadata_id
        self.created_on = now() if created_on is None else created_on
        self.more = more
        made = pd.Series(dtype="float64") if series is None else series
        self._series: pd.Series | None = made
        self._name: str | None = made.name if isinstance(made.name, str) else None
        self._place: tuple[Place, str] | None = None
        self._unsaved = True
        #: What the place knows of it, as JSON.
        self._known: str | None = None

    @property
    def name(self) -> str | None:
        """The full name, once it belongs to a signal."""
        return self._name

    @property
    def series(self) -> pd.Series:
        """The points, loaded if they are not in memory; a Series of its own name."""
        if self._series is None:
            place, key = self._stored()
            self._series = place.load(key)
        if self._series.name != self._name:
            self._series = self._series.rename(self._name)
        return self._series

    @series.setter
    def series(self, series: pd.Series) -> None:
        self._series, self._unsaved = series, True

    def _stored(self) -> tuple[Place, str]:
        if self._place is None:
            raise InvalidError(f"the series {self._name!r}: expected one with a backend, got one in memory")
        return self._place

    @property
    def is_loaded(self) -> bool:
        """Whether the points are in memory."""
        return self._series is not None

    def __len__(self) -> int:
        if self._series is None:
            place, key = self._stored()
            info = place.info(key)
            if info is not None:
                return info.length
        return len(self.series)

    @property
    def range(self) -> tuple[Any, Any]:
        """The least and the greatest value of the index, without loading; both None if there is no point."""
        if self._series is None:
            place, key = self._stored()
            info = place.info(key)
            if info is not None:
                return info.first, info.last
        index = self.series.index
        return (index.min(), index.max()) if len(index) else (None, None)

    @property
    def index_metadata(self) -> IndexMetadata:
        """What is known of the index."""
        if self._series is None:
            place, key = self._stored()
            info = place.info(key)
            if info is not None:
                return IndexMetadata.model_validate(info.index)
        return IndexMetadata.extract_index_metadata(self.series.index)

    @property
    def values_dtype(self) -> str:
        """The dtype of the values, as pandas writes it."""
        return str(self.series.dtype)

    def unload(self) -> None:
        """Forget the points; they are loaded again when they are touched.

        Raises
        ------
        siltstone.errors.InvalidError
            If no backend has them.
        """
        if self._unsaved:
            raise InvalidError(f"the series {self._name!r}: expected saved points, got unsaved ones")
        self._series = None

    def load_range(self, start: Any = None, end: Any = None, closed: str = "both") -> pd.Series:
        """The points between two values of the index; of a series that is not in memory, no other is read."""
        if self._series is None:
            place, key = self._stored()
            if place.is_ours:
                return Backend.load_range(place.backend, key, start, end, closed)
        memory = Backend("memory:")
        memory.save(self.series, "series")
        return memory.load_range("series", start, end, closed)

    def remove_duplicated_steps(self) -> None:
        """Leave each step in the history once."""
        kept: list[ProcessingStep] = []
        for step in self.processing_steps:
            if step not in kept:
                kept.append(step)
        self.processing_steps = kept

    def metadata_dict(self) -> dict[str, Any]:
        """All that is known of it but its points."""
        return {
            "processing_steps": [step.model_dump() for step in self.processing_steps],
            "metadata_id": self.metadata_id,
            "created_on": iso(self.created_on),
            **self.more,
        }

    def _record(self) -> str:
        return _metadata.encode(self.metadata_dict())

    @classmethod
    def _open(cls, place: Place, key: str, name: str) -> TimeSeries:
        record = place.series_record(key)
        steps = record.pop("processing_steps", [])
        made = cls(
            processing_steps=[ProcessingStep.model_validate(step) for step in steps],
            metadata_id=record.pop("metadata_id", None),
            created_on=parse_time(record.pop("created_on", None)),
        )
        made.more = record
        made._name, made._series, made._unsaved = name, None, False
        made._place, made._known = (place, key), made._record()
        return made

    def model_dump_json(self) -> str:
        """All of it as JSON, points too: :meth:`model_validate_json` gives it back equal."""
        name, dtype, index, column, values = from_pandas(self.series)
        parts = {"name": name, "dtype": dtype, "index": index, "columns": [column, values]}
        return _metadata.encode({**self.metadata_dict(), "series": parts})

    @classmethod
    def model_validate_json(cls, text: str) -> TimeSeries:
        """The series of a JSON text of :meth:`model_dump_json`."""
        record = _metadata.decode(text)
        parts = record.pop("series")
        series = to_pandas((parts["name"], parts["dtype"], parts["index"], *map(tuple, parts["columns"])))
        steps = [ProcessingStep.model_validate(step) for step in record.pop("processing_steps")]
        made = cls(series, steps, metadata_id=record.pop("metadata_id", None))
        made.created_on = parse_time(record.pop("created_on", None))
        made.more = record
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimeSeries):
            return NotImplemented
        if self.metadata_dict() != other.metadata_dict():
            return False
        return _same(self.series, other.series)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        state = f"{len(self)} points" if self.is_loaded else "not loaded"
        return f"TimeSeries({self._name!r}, {state}, {len(self.processing_steps)} steps)"

    def to_pandas(self) -> pd.Series:
        """The points as pandas holds them."""
        return self.series

    def to_arrow(self) -> Any:
        """Index and values as a PyArrow table."""
        import pyarrow as pa

        if self._series is None and self._stored()[0].is_ours:
            place, key = self._stored()
            return pa.table(Backend.scan(place.backend, key))
        memory = Backend("memory:")
        memory.save(self.series, "series")
        return pa.table(memory.scan("series"))

    def to_polars(self) -> Any:
        """Index and values as a Polars DataFrame."""
        import polars as pl

        return pl.from_arrow(self.to_arrow())

    def to_xarray(self) -> Any:
        """The series as an xarray DataArray along its index."""
        import xarray as xr

        series = self.series
        dim = series.index.name or "index"
        return xr.DataArray(series.to_numpy(), coords={dim: series.index}, dims=[dim], name=series.name)

    def _repr_html_(self) -> str:
        return _display.time_series(self)


def dependencies(series: TimeSeries) -> list[dict[str, str]]:
    """The edges of the graph of what a series was made of."""
    return json.loads(
        _siltstone.series_dependencies(series.name or "", steps_json(series.processing_steps))
    )


def points_for(series: TimeSeries) -> pd.Series:
    """The points for a function, which may change them; what was not in memory does not stay there."""
    was_loaded = series.is_loaded
    points = series.series
    if was_loaded:
        return points.copy()
    series.unload()
    return points


def iso(time: Any) -> str:
    """A time as a record writes it."""
    return time.isoformat() if isinstance(time, dt.datetime) else str(time or "")


def parse_time(text: Any) -> Any:
    """A time of a record; a text that is none stays what it is."""
    if not isinstance(text, str):
        return now() if text is None else text
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return text


def _same(one: pd.Series, other: pd.Series) -> bool:
    def parts(series: pd.Series) -> Any:
        name, dtype, index, *columns = from_pandas(series)
        plain = [
            [kind, data if isinstance(data, list) else data.tobytes(), None if ok is None else ok.tobytes()]
            for kind, data, ok in columns
        ]
        return [name, dtype, index, plain]

    return parts(one) == parts(other)
