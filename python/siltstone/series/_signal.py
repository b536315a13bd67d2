"""The series of one quantity, and what was made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import ExistsError, InvalidError, InvalidTypeError
from siltstone.series import _display, _grid, _metadata, _plot
from siltstone.series._home import Change, Home, Kept, undo
from siltstone.series._inputs import SeriesByName, given_series, names_of, pairs_by, series_by_key, text_of, with_source
from siltstone.series._steps import (
    DataProvenance,
    ProcessingStep,
    now,
    steps_json,
    steps_of,
)
from siltstone.series._time_series import TimeSeries, dependencies, iso, parse_time, parsed, points_for

if TYPE_CHECKING:
    import pandas as pd

#: How often a name that another process took meanwhile is chosen anew.
TRIES = 100


class Signal:
    """The series of one quantity: as measured, and what was made of them.

    Parameters
    ----------
    input_data : pandas.Series, pandas.DataFrame, TimeSeries, list or dict of them, optional
        Its first series, named by their names, or ``RAW``.
    name : str
        Its name; without a number it gets the number 1.
    units : str
        The unit of its values.
    provenance : DataProvenance, optional
        Where they come from.
    time_series : dict of TimeSeries, optional
        Further series by name: ``{"raw": ts}`` is ``SIGNAL_raw#1``, and a number that a name has is kept.
    backend : StorageBackend, optional
        Where it is kept, if it belongs to no dataset: as one of the dataset ``default``.
    more : dict, optional
        What else is known of it.

    Examples
    --------
    >>> import pandas as pd
    >>> from siltstone.series import Signal, resample
    >>> times = pd.date_range("2026-01-01", periods=48, freq="h")
    >>> flow = Signal(pd.Series(1.5, times), name="flow", units="m3/h")
    >>> flow.process(["flow#1_RAW#1"], resample, "D").all_time_series
    ['flow#1_RAW#1', 'flow#1_RESAMPLED#1']
    """

    def __init__(
        self,
        input_data: Any = None,
        name: str = "signal",
        units: str = "unit",
        provenance: DataProvenance | Mapping[str, Any] | None = None,
        *,
        created_on: dt.datetime | None = None,
        last_updated: dt.datetime | None = None,
        time_series: Mapping[str, TimeSeries] | None = None,
        backend: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = _siltstone.signal_name(text_of("the name of a signal", name))
        self.units = text_of("units", units)
        if isinstance(provenance, Mapping):
            provenance = DataProvenance.model_validate(dict(provenance))
        if not isinstance(provenance, (DataProvenance, type(None))):
            kind = type(provenance).__name__
            raise InvalidTypeError(f"provenance: expected a DataProvenance or a dictionary, got {kind}")
        self.provenance = DataProvenance() if provenance is None else provenance
        self.created_on = now() if created_on is None else created_on
        self.last_updated = self.created_on if last_updated is None else last_updated
        self.more = dict(more or {})
        self.time_series: dict[str, TimeSeries] = SeriesByName(self._name)
        self._home: Home | None = None
        self._auto_save = True
        self._removed: list[str] = []
        #: What the backend knows of it, and under which name.
        self._known: tuple[str, str] | None = None
        for given in given_series(input_data):
            self._put([given], [self._base_of(given)], False, save=False)
        for key, given in series_by_key(time_series):
            within = _siltstone.series_within(self.name, key)
            base, number = _siltstone.series_split(within)
            if number is None:
                self._put([given], [base], False, save=False)
                continue
            given._name = f"{self.name}_{within}"
            if given._name in self.time_series:
                raise ExistsError(f"the series {given._name!r} is in the signal {self.name!r} twice")
            self.time_series[given._name] = given
        if backend is not None:
            self.set_backend(backend)

    # Names

    @property
    def name(self) -> str:
        """Its name, with its number."""
        return self._name

    @property
    def all_time_series(self) -> list[str]:
        """The full names of its series, in the order in which they were made."""
        return list(self.time_series)

    def __getitem__(self, name: str) -> TimeSeries:
        return self.time_series[name]

    def __contains__(self, name: object) -> bool:
        return name in self.time_series

    def __len__(self) -> int:
        return len(self.time_series)

    def __iter__(self) -> Any:
        return iter(self.time_series.values())

    @staticmethod
    def extract_ts_base_and_number(name: str) -> tuple[str, str, int]:
        """Signal, base and number of the full name of a series.

        >>> from siltstone.series import Signal
        >>> Signal.extract_ts_base_and_number("flow#1_by_hand#2")
        ('flow#1', 'by_hand', 2)
        """
        return _siltstone.series_parse(name)

    @staticmethod
    def make_ts_name(signal: str, base: str, number: int = 1) -> str:
        """The full name of a series."""
        return f"{signal}_{base}#{number}"

    def _base_of(self, series: TimeSeries) -> str:
        name = series.name or "RAW"
        return _siltstone.series_split(_siltstone.series_within(self.name, name))[0]

    # Changes

    def add(self, series: TimeSeries | pd.Series) -> str:
        """Add a series, under the next number of its name; the full name.

        Raises
        ------
        siltstone.errors.SiltstoneError
            What the backend says; then the signal is as it was.
        """
        (made,) = given_series(series)
        return self._put([made], [self._base_of(made)], False)[0]

    def remove(self, ts_name: str) -> None:
        """Remove a series. What was made of it keeps its name in its history."""
        gone = self[ts_name]
        with undo(self) as attempt:
            del self.time_series[gone._full]
            if gone._known is not None and gone._home is not None:
                self._removed.append(gone._home[1])
            self._changed(attempt)

    def rename(self, new: str) -> None:
        """Give a signal that belongs to no dataset another name; the names of its series follow.

        One of a dataset is renamed by :meth:`Dataset.rename`, since others were made of it.
        """
        if self._home is not None and self._home.dataset != "default":
            raise InvalidError(f"the signal {self.name!r}: expected one of no dataset; rename it by Dataset.rename()")
        with undo(self) as attempt:
            self._follow(self._renamed(_siltstone.signal_name(new)))
            self._changed(attempt)

    def process(
        self,
        input_time_series_names: Iterable[str],
        transform_function: Callable[..., list[tuple[pd.Series, list[ProcessingStep]]]],
        *args: Any,
        output_names: Iterable[str] | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> Signal:
        """Run a function over some of the series, and keep those it makes, each with its history.

        With a backend, result and step are written in one commit, and nothing else is.

        Parameters
        ----------
        input_time_series_names : list of str
            Full names.
        transform_function : callable
            ``function(series, *args, **kwargs)`` gets a list of pandas Series of these names, copies that it may
            change, and gives a list of pairs ``(series, steps)``. If a step names its inputs, the series was
            made of those; else of all.
        output_names : list of str, optional
            What the new series are called, in place of the suffix of their last step.
        overwrite : bool
            Whether they replace the latest series of their name.

        Returns
        -------
        Signal
            This one.

        Raises
        ------
        KeyError
            For a series that is not there.
        ValueError
            For names that do not fit. After any error signal and backend are as they were.
        """
        given = [self[name] for name in names_of(input_time_series_names)]
        made = pairs_by(
            transform_function, transform_function([points_for(series) for series in given], *args, **kwargs)
        )
        outputs, histories = [], [(series._full, steps_json(series.processing_steps)) for series in given]
        bases = self._bases(made, output_names)
        for series, steps in made:
            outputs.append(TimeSeries(series, with_source(steps, transform_function)))
        self._put(outputs, bases, overwrite, histories)
        return self

    def _bases(self, made: Any, output_names: Iterable[str] | None) -> list[str]:
        names = None if output_names is None else names_of(output_names)
        if names is not None and len(names) != len(made):
            raise InvalidError(f"output_names: expected {len(made)}, one for each series, got {len(names)}")
        bases = []
        for i, (series, steps) in enumerate(made):
            if names is not None:
                if not names[i] or "_" in names[i]:
                    raise InvalidError(f"output_names: expected texts without an underscore, got {names[i]!r}")
                name = names[i]
            else:
                named = series.name if isinstance(series.name, str) else "PROCESSED"
                name = (steps[-1].suffix if steps else "") or _siltstone.series_within(self.name, named)
            bases.append(_siltstone.series_split(name)[0])
        return bases

    def _put(
        self,
        made: list[TimeSeries],
        bases: list[str],
        replace: bool,
        histories: list[tuple[str, str]] | None = None,
        save: bool = True,
    ) -> list[str]:
        with undo(self) as attempt:
            own = [_siltstone.series_within(self.name, name) for name in self.time_series]
            names = []
            for series, base, number in zip(made, bases, _siltstone.series_numbers(bases, own, replace), strict=True):
                full = self.make_ts_name(self.name, base, number)
                series._name = full
                if histories is not None:
                    steps = steps_json(series.processing_steps)
                    series.processing_steps = steps_of(_siltstone.series_history(histories, steps, full))
                # It is made now: it stands behind the others, as after opening anew.
                old = self.time_series.pop(full, None)
                if old is not None:
                    series._home, series._known = old._home, old._known
                self.time_series[full] = series
                names.append(full)
            self.last_updated = now()
            if not save or not self._auto_save or self._home is None:
                return names
            for _ in range(TRIES):
                try:
                    self._save(attempt)
                    break
                except ExistsError:
                    names = self._renumber(names)
            else:
                raise ExistsError(f"the names {names}: other processes take them at the same time")
        if self._home is not None and self._home.keeps_elsewhere:
            for name in names:
                self.time_series[name].unload()
        return names

    def _renumber(self, names: list[str]) -> list[str]:
        """Other numbers for new series whose names another process took meanwhile."""
        assert self._home is not None
        taken = [full for _, signal, full in self._home.series() if signal == self.name]
        renamed = []
        for name in names:
            series = self.time_series[name]
            if series._known is None:
                within = [_siltstone.series_within(self.name, full) for full in taken]
                base = _siltstone.series_split(_siltstone.series_within(self.name, name))[0]
                full = self.make_ts_name(self.name, base, _siltstone.series_numbers([base], within, False)[0])
                taken.append(full)
                self._follow([(name, full)])
            renamed.append(series._full)
        return renamed

    def _renamed(self, name: str) -> list[tuple[str, str]]:
        old, self._name = self._name, name
        self.last_updated = now()
        return [(full, f"{name}_{_siltstone.series_within(old, full)}") for full in self.time_series]

    def _follow(self, renames: list[tuple[str, str]]) -> None:
        """New names of series in place of old ones, in the histories too."""
        new = dict(renames)
        for series in self.time_series.values():
            series._name = new.get(series._full, series._full)
            series.processing_steps = [
                dataclasses.replace(
                    step,
                    input_series_names=[new.get(name, name) for name in step.input_series_names],
                    output_series_name=new.get(step.output_series_name or "", step.output_series_name),
                )
                for step in series.processing_steps
            ]
        self.time_series = SeriesByName(self.name, ((series._full, series) for series in self.time_series.values()))

    # Storage

    def set_backend(self, backend: Any, auto_save: bool = True) -> None:
        """Keep the signal in this backend, as one of the dataset ``default``."""
        self._move_to(Home(backend, "default"), auto_save)
        if auto_save:
            self.save_all()

    def _move_to(self, home: Home | None, auto_save: bool) -> None:
        if self._home is not None:
            for series in self.time_series.values():
                series.series = series.series  # the points go along
                series._home = series._known = None
        self._home, self._auto_save, self._known, self._removed = home, auto_save, None, []

    def _changed(self, attempt: _siltstone.Undo) -> None:
        self.last_updated = now()
        if self._auto_save:
            self._save(attempt)

    def save_all(self) -> None:
        """Write what is not written yet, in one commit. Without a backend there is nothing to do."""
        self._save(None)

    def _save(self, attempt: _siltstone.Undo | None) -> None:
        if self._home is not None:
            self._home.commit(self._changes(), self._after(), attempt)

    def _record(self) -> str:
        return _metadata.encode(
            {
                "name": self.name,
                "units": self.units,
                "provenance": self.provenance.model_dump(),
                "created_on": iso(self.created_on),
                "last_updated": iso(self.last_updated),
                **self.more,
            }
        )

    def _changes(self) -> list[Change]:
        home = self._home
        assert home is not None
        changes: list[Change] = [("delete", key, None, None) for key in self._removed]
        for series in self.time_series.values():
            key = home.key(self.name, series._full)
            if series._known is not None and series._stored()[1] != key:
                changes.append(("move", series._stored()[1], key, None))
            record = series._record()
            if series._unsaved:
                changes.append(("new" if series._known is None else "save", key, record, series.series))
            elif record != series._known:
                changes.append(("describe", key, record, None))
        record = self._record()
        if self._known is not None and self._known[0] != self.name:
            changes.append(("record", _siltstone.series_record_name(home.dataset, self._known[0]), None, None))
        if self._known != (self.name, record):
            changes.append(("record", _siltstone.series_record_name(home.dataset, self.name), record, None))
        return changes

    def _after(self) -> list[Kept]:
        """What it and its series know when they are written."""
        assert self._home is not None
        after: list[Kept] = [(self.__dict__, {"_removed": [], "_known": (self.name, self._record())})]
        for series in self.time_series.values():
            home = (self._home, self._home.key(self.name, series._full))
            known = {"_home": home, "_unsaved": False, "_known": series._record()}
            after.append((series.__dict__, known))
        return after

    def _removal(self) -> list[Change]:
        assert self._home is not None
        stored = [s._stored()[1] for s in self.time_series.values() if s._known is not None]
        changes: list[Change] = [("delete", key, None, None) for key in [*stored, *self._removed]]
        if self._known is not None:
            name = _siltstone.series_record_name(self._home.dataset, self._known[0])
            changes.append(("record", name, None, None))
        return changes

    @classmethod
    def _open(cls, home: Home, name: str, keys: list[tuple[str, str]]) -> Signal:
        record = home.record(name) or {}
        made = cls(
            name=name,
            units=record.pop("units", "unit"),
            provenance=record.pop("provenance", {}),
            created_on=parse_time(record.pop("created_on", None)),
            last_updated=parse_time(record.pop("last_updated", None)),
        )
        record.pop("name", None)
        made.more = record
        made._home = home
        series = [TimeSeries._open(home, key, full) for key, full in keys]
        series.sort(key=lambda one: (iso(one.created_on), one._full))
        made.time_series = SeriesByName(name, ((one._full, one) for one in series))
        if home.record(name) is not None:
            made._known = (name, made._record())
        return made

    def unload(self) -> None:
        """Forget the points of all series that are saved."""
        for series in self.time_series.values():
            series.unload()

    def save(
        self,
        destination: str | PathLike[str],
        zip: bool = True,
        separator: str = ",",
        output_index_name: str | None = None,
        output_value_names: str | Mapping[str, str] | None = None,
        *,
        overwrite: bool = False,
    ) -> Signal:
        """Write it in the layout of meteaudata: ``NAME.zip`` in this folder, or the same files in it.

        Parameters
        ----------
        destination : path
            The folder; made if it is not there. Nothing else in it is touched.
        zip : bool
            Whether it is one file; else ``NAME_metadata.yaml`` and ``NAME_data`` in the folder.
        separator, output_index_name, output_value_names
            As in :meth:`Dataset.save`.
        overwrite : bool
            Whether a zip of that name is replaced; all of it or nothing. A folder never is.

        Raises
        ------
        siltstone.errors.ExistsError
            If there is one, and it may not be replaced.
        """
        from siltstone.series._meteaudata import Layout, write_signal

        write_signal(self, destination, zip, Layout(separator, output_index_name, output_value_names), overwrite)
        return self

    @classmethod
    def load_from_directory(cls, source_path: str | PathLike[str], signal_name: str | None = None) -> Signal:
        """A signal of a zip or folder that :meth:`save` or meteaudata wrote; in memory.

        Parameters
        ----------
        source_path : path
            The zip or folder; nothing is unpacked, and nothing beside it is touched.
        signal_name : str, optional
            Its name there; needed if there are several.
        """
        from siltstone.series._meteaudata import read_signal

        return read_signal(source_path, signal_name)

    # Looking at it

    def metadata_dict(self) -> dict[str, Any]:
        """All that is known of it and of its series, but the points."""
        return {
            **_metadata.decode(self._record()),
            "time_series": {name: one.metadata_dict() for name, one in self.time_series.items()},
        }

    def build_dependency_graph(self, ts_name: str) -> list[dict[str, str]]:
        """What a series was made of: edges ``step``, ``type``, ``origin``, ``destination``."""
        return dependencies(self[ts_name])

    def to_pandas(self) -> pd.DataFrame:
        """Its series side by side, joined by their index."""
        import pandas as pd

        return pd.concat([one.series for one in self], axis=1) if self.time_series else pd.DataFrame()

    def to_polars(self) -> dict[str, Any]:
        """A Polars DataFrame for each series, by its full name."""
        return {name: one.to_polars() for name, one in self.time_series.items()}

    def to_arrow(self) -> dict[str, Any]:
        """A PyArrow table for each series, by its full name."""
        return {name: one.to_arrow() for name, one in self.time_series.items()}

    def to_xarray(self) -> Any:
        """Its series as an xarray Dataset, joined along their index, with the units as attributes.

        NetCDF holds it: times with a zone are those of UTC, with an attribute ``time_zone``, and ``/`` in a name is
        ``%2F``; ``long_name`` has the name as it is.
        """
        series = ((one.series, self.units) for one in self)
        return _grid.dataset(series, {"signal": self.name, "units": self.units})

    def model_dump_json(self) -> str:
        """All of it as JSON, points too: :meth:`model_validate_json` gives it back equal."""
        return _metadata.encode(self._dump())

    @classmethod
    def model_validate_json(cls, text: str) -> Signal:
        """The signal of a JSON text of :meth:`model_dump_json`; in memory."""
        return parsed(text, "a signal", cls._of)

    def _dump(self) -> dict[str, Any]:
        series = {name: one._dump() for name, one in self.time_series.items()}
        return {**_metadata.decode(self._record()), "time_series": series}

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Signal:
        series = [(name, TimeSeries._of(one)) for name, one in record.pop("time_series").items()]
        made = cls(
            name=record.pop("name"),
            units=record.pop("units"),
            provenance=record.pop("provenance"),
            created_on=parse_time(record.pop("created_on")),
            last_updated=parse_time(record.pop("last_updated")),
            more=record,
        )
        for name, one in series:
            one._name = name
        made.time_series = SeriesByName(made.name, series)
        return made

    def plot(
        self,
        ts_names: Iterable[str] | None = None,
        title: str | None = None,
        y_axis: str | None = None,
        x_axis: str | None = None,
        start: Any = None,
        end: Any = None,
    ) -> Any:
        """Series of it as one Plotly figure.

        Parameters
        ----------
        ts_names : list of str, optional
            Their names; all, if they are not said. Series of another kind of index are in a row of their own.
        title, y_axis, x_axis : str, optional
            Texts of the figure.
        start, end : optional
            As in :meth:`TimeSeries.plot`.
        """
        chosen = list(self) if ts_names is None else [self[name] for name in names_of(ts_names)]
        return _plot.figure(_plot.rows_of(self, chosen, y_axis, start, end), title or self.name, x_axis)

    def display(self, format: str = "html") -> None:
        """Show it: in a notebook (``"html"``), as text (``"text"``), or as its plot (``"plot"``)."""
        _display.show(self, format)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signal):
            return NotImplemented
        return self._record() == other._record() and self.time_series == other.time_series

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Signal({self.name!r}, units={self.units!r}, {len(self)} series)"

    def _repr_html_(self) -> str:
        return _display.signal(self)
