"""A series and its history."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from siltstone import _siltstone
from siltstone.errors import InvalidError, InvalidTypeError, SiltstoneError
from siltstone.series import _display, _grid, _metadata, _plot
from siltstone.series._backends import Backend
from siltstone.series._convert import from_pandas, to_pandas
from siltstone.series._home import Home
from siltstone.series._steps import IndexMetadata, ProcessingStep, now, steps_json

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


def pandas_series(series: Any) -> pd.Series:
    """The points of a series, which are to be a pandas Series."""
    import pandas as pd

    if not isinstance(series, pd.Series):
        raise InvalidTypeError(f"the series: expected a pandas Series, got {type(series).__name__}")
    return series


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
    backend : StorageBackend, optional
        Where :meth:`save_to_backend` writes it. In a signal or dataset it is kept where that is.
    more : dict, optional
        What else is known of it.

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
        backend: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        import pandas as pd

        self.processing_steps = steps_in("processing_steps", processing_steps or [])
        self.metadata_id = metadata_id
        self.created_on = now() if created_on is None else created_on
        self.more = dict(more or {})
        made = pd.Series(dtype="float64") if series is None else pandas_series(series)
        self._series: pd.Series | None = made
        self._name: str | None = made.name if isinstance(made.name, str) else None
        self._home: tuple[Home, str] | None = None
        self._unsaved = True
        self._backend = None if backend is None else Home(backend, "default").backend
        #: What the backend knows of it, as JSON.
        self._known: str | None = None

    @property
    def name(self) -> str | None:
        """The full name, once it belongs to a signal."""
        return self._name

    @property
    def _full(self) -> str:
        """The name of a series of a signal."""
        assert self._name is not None
        return self._name

    @property
    def series(self) -> pd.Series:
        """The points, loaded if they are not in memory; a Series of its own name."""
        if self._series is None:
            home, key = self._stored()
            self._series = home.load(key)
        if self._series.name != self._name:
            self._series = self._series.rename(self._name)
        return self._series

    @series.setter
    def series(self, series: pd.Series) -> None:
        self._series, self._unsaved = pandas_series(series), True

    def _stored(self) -> tuple[Home, str]:
        if self._home is None:
            raise InvalidError(f"the series {self._name!r}: expected one with a backend, got one in memory")
        return self._home

    @property
    def is_loaded(self) -> bool:
        """Whether the points are in memory."""
        return self._series is not None

    def __len__(self) -> int:
        if self._series is None:
            home, key = self._stored()
            info = home.info(key)
            if info is not None:
                return info.length
        return len(self.series)

    @property
    def range(self) -> tuple[Any, Any]:
        """The least and the greatest value of the index, without loading; both None if there is no point."""
        if self._series is None:
            home, key = self._stored()
            info = home.info(key)
            if info is not None:
                return info.first, info.last
        index = self.series.index
        return (index.min(), index.max()) if len(index) else (None, None)

    @property
    def index_metadata(self) -> IndexMetadata:
        """What is known of the index."""
        if self._series is None:
            home, key = self._stored()
            info = home.info(key)
            if info is not None:
                return IndexMetadata.model_validate(info.index)
        return IndexMetadata.extract_index_metadata(self.series.index)

    @property
    def values_dtype(self) -> str:
        """The dtype of the values, as pandas writes it."""
        return str(self.series.dtype)

    def save_to_backend(self, key: str | None = None) -> str:
        """Write a series of no signal into its backend, in place of what has this key; the key.

        Parameters
        ----------
        key : str, optional
            Its name, if it is not said, or ``RAW``.

        Raises
        ------
        siltstone.errors.InvalidError
            Without a backend, or for a series of a signal, which is written with that.
        """
        if self._backend is None:
            raise InvalidError(
                f"the series {self._name!r}: expected one with a backend, got one without; no storage backend "
                "is configured"
            )
        home = Home(self._backend, "default")
        if self._home is not None and self._home[0].backend is not self._backend:
            raise InvalidError(f"the series {self._name!r}: expected one of no signal; save that")
        key = key or self._name or "RAW"
        record = self._record()
        known = {"_home": (home, key), "_unsaved": False, "_known": record}
        home.commit([("save", key, record, self.series)], [(self.__dict__, known)], None)
        return key

    @classmethod
    def load_from_backend(cls, backend: Any, key: str) -> TimeSeries:
        """The series of a key that :meth:`save_to_backend` wrote; its points are loaded when they are touched.

        Raises
        ------
        KeyError
            If there is none (:class:`siltstone.errors.NotFoundError`).
        """
        made = cls._open(Home(backend, "default"), key, key)
        made._backend = backend
        return made

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
            home, key = self._stored()
            if home.is_ours:
                stored: pd.Series = Backend.load_range(home.backend, key, start, end, closed)
                return stored
        memory = Backend("memory:")
        memory.save(self.series, "series")
        points: pd.Series = memory.load_range("series", start, end, closed)
        return points

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
    def _open(cls, home: Home, key: str, name: str) -> TimeSeries:
        record = home.series_record(key)
        steps = record.pop("processing_steps", [])
        made = cls(
            processing_steps=[ProcessingStep.model_validate(step) for step in steps],
            metadata_id=record.pop("metadata_id", None),
            created_on=parse_time(record.pop("created_on", None)),
        )
        made.more = record
        made._name, made._series, made._unsaved = name, None, False
        made._home, made._known = (home, key), made._record()
        return made

    def model_dump_json(self) -> str:
        """All of it as JSON, points too: :meth:`model_validate_json` gives it back equal."""
        return _metadata.encode(self._dump())

    @classmethod
    def model_validate_json(cls, text: str) -> TimeSeries:
        """The series of a JSON text of :meth:`model_dump_json`."""
        return parsed(text, "a series", cls._of)

    def _dump(self) -> dict[str, Any]:
        name, dtype, index, column, values = from_pandas(self.series)
        parts = {"name": name, "dtype": dtype, "index": index, "columns": [column, values]}
        return {**self.metadata_dict(), "series": parts}

    @classmethod
    def _of(cls, record: dict[str, Any]) -> TimeSeries:
        parts = record.pop("series")
        series = to_pandas((parts["name"], parts["dtype"], parts["index"], *map(tuple, parts["columns"])))
        made = cls(series, [ProcessingStep.model_validate(step) for step in record.pop("processing_steps")])
        made.metadata_id = record.pop("metadata_id", None)
        made.created_on = parse_time(record.pop("created_on", None))
        made.more = record
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimeSeries):
            return NotImplemented
        # By what is written, where NaN is itself.
        return self._record() == other._record() and _same(self.series, other.series)

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
            home, key = self._stored()
            return pa.table(Backend.scan(home.backend, key))
        memory = Backend("memory:")
        memory.save(self.series, "series")
        return pa.table(memory.scan("series"))

    def to_polars(self) -> Any:
        """Index and values as a Polars DataFrame."""
        import polars as pl

        return pl.from_arrow(self.to_arrow())

    def to_xarray(self) -> Any:
        """The series as an xarray DataArray along its index; see :meth:`Signal.to_xarray`."""
        series = self.series
        named = series.rename(self.name or "RAW")
        (array,) = _grid.dataset([(named, None)], {}).data_vars.values()
        dim = series.index.name or "index"
        return array.rename(index=dim).rename(series.name) if dim != "index" else array.rename(series.name)

    def plot(
        self,
        title: str | None = None,
        y_axis: str | None = None,
        x_axis: str | None = None,
        legend_name: str | None = None,
        start: Any = None,
        end: Any = None,
    ) -> Any:
        """The points as a Plotly figure.

        Parameters
        ----------
        title, y_axis, x_axis, legend_name : str, optional
            Texts of the figure; the name of the series, if they are not said.
        start, end : optional
            The first and the last value of the index that is drawn, as :meth:`load_range` reads them.

        Raises
        ------
        siltstone.errors.InvalidError
            If Plotly is not installed.
        """
        line = _plot.Line(self, legend_name, start, end)
        return _plot.figure([([line], y_axis or self.name)], title or self.name, x_axis)

    def display(self, format: str = "html") -> None:
        """Show it: in a notebook (``"html"``), as text (``"text"``), or as its plot (``"plot"``)."""
        _display.show(self, format)

    def _repr_html_(self) -> str:
        return _display.time_series(self)


def dependencies(series: TimeSeries) -> list[dict[str, str]]:
    """The edges of the graph of what a series was made of."""
    edges: list[dict[str, str]] = json.loads(
        _siltstone.series_dependencies(series.name or "", steps_json(series.processing_steps))
    )
    return edges


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


def steps_in(what: str, steps: Any) -> list[ProcessingStep]:
    """A list of steps."""
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise InvalidTypeError(f"{what}: expected a list of ProcessingStep, got {type(steps).__name__}")
    listed: list[ProcessingStep] = list(steps)
    for step in listed:
        if not isinstance(step, ProcessingStep):
            raise InvalidTypeError(f"{what}: expected a list of ProcessingStep, got a {type(step).__name__} in it")
    return listed


def parsed(text: Any, what: str, made: Callable[[dict[str, Any]], T]) -> T:
    """What a text of ``model_dump_json`` says."""
    if not isinstance(text, (str, bytes, bytearray)):
        raise InvalidTypeError(f"the JSON of {what}: expected a text, got {type(text).__name__}")
    try:
        record = _metadata.decode(text)
        if isinstance(record, dict):
            return made(record)
        raise InvalidError(f"the JSON of {what}: expected an object, got {type(record).__name__}")
    except json.JSONDecodeError as error:
        raise InvalidError(f"the JSON of {what}: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, SiltstoneError):
            raise
        raise InvalidError(
            f"the JSON of {what}: expected what model_dump_json writes, got other fields ({error!r})"
        ) from error


def _same(one: pd.Series, other: pd.Series) -> bool:
    def parts(series: pd.Series) -> Any:
        name, dtype, index, *columns = from_pandas(series)
        plain = [
            [kind, data if isinstance(data, list) else data.tobytes(), None if ok is None else ok.tobytes()]
            for kind, data, ok in columns
        ]
        return [name, dtype, index, plain]

    return bool(parts(one) == parts(other))
