"""Datasets: signals that belong together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any

from siltstone import _siltstone
from siltstone.errors import ExistsError, InvalidError, InvalidTypeError, NotFoundError
from siltstone.series import _display, _grid, _metadata, _plot
from siltstone.series._backends import (
    Backend,
    PandasInMemoryAdapter,
    PandasOnDiskAdapter,
    PolarsAdapter,
    SQLDatabaseAdapter,
)
from siltstone.series._copies import copy_to, made_by, name_series, one_series
from siltstone.series._home import Change, Home, undo_of
from siltstone.series._inputs import names_of, text_of, with_source
from siltstone.series._signal import Signal
from siltstone.series._steps import now, steps_json, steps_of
from siltstone.series._time_series import TimeSeries, dependencies, iso, parse_time, parsed


class Dataset:
    """Signals that belong together, in memory or in a backend.

    With a backend each change is written at once, and only what changed: what a function made and the step that
    says so in one commit. Points are loaded when they are touched.

    Parameters
    ----------
    name : str
        Its name.
    description, owner, purpose, project : str, optional
        What is known of it.
    signals : dict or list of Signal, optional
        Its first signals.
    backend : StorageBackend, optional
        Where it is kept. If that has a dataset of the name already, open it by :meth:`open`.
    more : dict, optional
        What else is known of it.

    Raises
    ------
    siltstone.errors.ExistsError
        If the backend has a dataset of this name.

    Examples
    --------
    >>> import pandas as pd
    >>> from siltstone import series
    >>> backend = series.open("memory:")
    >>> plant = series.Dataset(name="plant", backend=backend)
    >>> flow = plant.add(series.Signal(pd.Series([1.0, 2.0]), name="flow", units="m3/h"))
    >>> series.Dataset.open(backend, "plant").signals["flow#1"].units
    'm3/h'
    """

    def __init__(
        self,
        name: str,
        description: str | None = None,
        owner: str | None = None,
        signals: Mapping[str, Signal] | Iterable[Signal] = (),
        purpose: str | None = None,
        project: str | None = None,
        *,
        created_on: dt.datetime | None = None,
        last_updated: dt.datetime | None = None,
        backend: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        if not text_of("the name of a dataset", name):
            raise InvalidError(f"the name of a dataset: expected a text that is not empty, got {name!r}")
        known = {"description": description, "owner": owner, "purpose": purpose, "project": project}
        for what, text in known.items():
            if text is not None:
                text_of(what, text)
        self._name = name
        self.description, self.owner = description, owner
        self.purpose, self.project = purpose, project
        self.created_on = now() if created_on is None else created_on
        self.last_updated = self.created_on if last_updated is None else last_updated
        self.more = dict(more or {})
        self.signals: dict[str, Signal] = {}
        self._home: Home | None = None
        self._auto_save = True
        #: What the backend knows of it.
        self._known: str | None = None
        for signal in signals.values() if isinstance(signals, Mapping) else signals:
            self.add(signal)
        if backend is not None:
            self.set_backend(backend)

    @classmethod
    def open(cls, backend: Any, name: str) -> Dataset:
        """The dataset of this name that a backend has: all that is known of it, and no point yet.

        Raises
        ------
        KeyError
            If there is none (:class:`siltstone.errors.NotFoundError`).
        """
        if isinstance(backend, str) and not isinstance(name, str):
            raise InvalidTypeError(f"Dataset.open: expected the backend, then the name, got {backend!r} first")
        home = Home(backend, text_of("the name of a dataset", name))
        record = home.record()
        found: dict[str, list[tuple[str, str]]] = {signal: [] for signal in home.signals()}
        for key, signal, full in home.series():
            found.setdefault(signal, []).append((key, full))
        if record is None and not found:
            raise NotFoundError(f"the dataset {name!r} is not in {backend!r}")
        record = record or {}
        record.pop("name", None)
        made = cls(
            name,
            created_on=parse_time(record.pop("created_on", None)),
            last_updated=parse_time(record.pop("last_updated", None)),
            **{field: record.pop(field, None) for field in ("description", "owner", "purpose", "project")},
        )
        made.more, made._home = record, home
        signals = [Signal._open(home, signal, keys) for signal, keys in found.items()]
        signals.sort(key=lambda signal: (iso(signal.created_on), signal.name))
        made.signals = {signal.name: signal for signal in signals}
        if home.record() is not None:
            made._known = made._record()
        return made

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def all_signals(self) -> list[str]:
        """The names of its signals, in the order in which they were made."""
        return list(self.signals)

    def __getitem__(self, name: str) -> Signal:
        try:
            return self.signals[name]
        except KeyError:
            raise NotFoundError(f"the signal {name!r} is not in the dataset {self.name!r}") from None

    def __contains__(self, name: object) -> bool:
        return name in self.signals

    def __len__(self) -> int:
        return len(self.signals)

    def __iter__(self) -> Any:
        return iter(self.signals.values())

    # Changes

    def add(self, signal: Signal) -> str:
        """Add a signal with its series, under the next number of its name; its name.

        The signal is the dataset's from now on.

        Raises
        ------
        siltstone.errors.SiltstoneError
            What the backend says; then the dataset is as it was.
        """
        if not isinstance(signal, Signal):
            raise InvalidTypeError(f"a signal: expected a Signal, got {type(signal).__name__}")
        if any(signal is own for own in self):
            raise InvalidError(f"the signal {signal.name!r} is in the dataset {self.name!r} already")
        base = _siltstone.series_split(signal.name)[0]
        number = _siltstone.series_numbers([base], self._taken(), False)[0]
        with undo_of(self, signal) as attempt:
            signal._move_to(self._home, self._auto_save)
            signal._follow(signal._renamed(f"{base}#{number}"))
            self.signals[signal.name] = signal
            self._changed(attempt)
        return signal.name

    def remove(self, signal_name: str) -> None:
        """Remove a signal and its series. What was made of them keeps their names in its history."""
        signal = self[signal_name]
        with undo_of(self, signal) as attempt:
            del self.signals[signal_name]
            self.last_updated = now()
            if self._home is not None and self._auto_save:
                self._save_after(signal._removal(), attempt)
            signal._move_to(None, True) if self._home is None else None

    def rename(self, signal_name: str, new: str) -> str:
        """Give a signal another name; the names of its series follow, in every history too. Its new name.

        Raises
        ------
        siltstone.errors.ExistsError
            If another signal has the name.
        """
        signal, name = self[signal_name], _siltstone.signal_name(new)
        if name in self.signals:
            raise ExistsError(f"the signal {name!r} is already in the dataset {self.name!r}; take another name")
        with undo_of(self, *self) as attempt:
            renames = signal._renamed(name)
            for one in self:
                one._follow(renames)
            self.signals = {one.name: one for one in self}
            self._changed(attempt)
        return name

    def process(
        self,
        input_time_series_names: Iterable[str],
        transform_function: Callable[..., list[Signal]],
        *args: Any,
        output_signal_names: Iterable[str] | None = None,
        output_ts_names: Iterable[str] | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> Dataset:
        """Run a function over series of several signals, and add the signals it makes.

        Parameters
        ----------
        input_time_series_names : list of str
            Full names.
        transform_function : callable
            ``function(signals, names, *args, **kwargs)`` gets for each name a signal of that one series, a copy
            that it may change, and gives a list of signals; the last step of their series names what was
            done.
        output_signal_names, output_ts_names : list of str, optional
            What the new signals and their series are called; one for each signal.
        overwrite : bool
            Whether they replace the latest signals of their name.

        Returns
        -------
        Dataset
            This one.

        Raises
        ------
        KeyError
            For a series that is not there.
        ValueError
            For names that do not fit. After any error dataset and backend are as they were.
        """
        names = names_of(input_time_series_names)
        given = [self._series(name) for name in names]
        made = made_by(
            transform_function, transform_function([one_series(*pair) for pair in given], names, *args, **kwargs)
        )
        for what, wanted in (("signal", output_signal_names), ("ts", output_ts_names)):
            if wanted is not None:
                wanted = names_of(wanted)
                if len(wanted) != len(made) or any(not name or "_" in name for name in wanted):
                    raise InvalidError(
                        f"output_{what}_names: expected {len(made)} texts without an underscore, got {wanted}"
                    )
        wanted = None if output_signal_names is None else names_of(output_signal_names)
        ts_names = None if output_ts_names is None else names_of(output_ts_names)
        histories = [(one._full, steps_json(one.processing_steps)) for _, one in given]
        bases = [_siltstone.series_split(wanted[i] if wanted else one.name)[0] for i, one in enumerate(made)]
        numbers = _siltstone.series_numbers(bases, self._taken(), overwrite)
        with undo_of(self, *made) as attempt:
            removals: list[Change] = []
            for i, signal in enumerate(made):
                signal._follow(signal._renamed(f"{bases[i]}#{numbers[i]}"))
                for series in signal:
                    steps = with_source(series.processing_steps, transform_function)
                    new = _siltstone.series_history(histories, steps_json(steps), series._full)
                    series.processing_steps = steps_of(new)
                if ts_names is not None:
                    name_series(signal, ts_names[i])
                old = self.signals.pop(signal.name, None)
                if old is not None and self._home is not None:
                    removals += old._removal()
                signal._home, signal._auto_save = self._home, self._auto_save
                self.signals[signal.name] = signal
            self.last_updated = now()
            if self._auto_save:
                self._save_after(removals, attempt)
        if self._auto_save and self._home is not None and self._home.keeps_elsewhere:
            for signal in made:
                signal.unload()
        return self

    def _series(self, name: str) -> tuple[Signal, TimeSeries]:
        for signal in self:
            for series in signal:
                if series.name == name:
                    return signal, series
        raise NotFoundError(f"the series {name!r} is not in the dataset {self.name!r}")

    def _taken(self) -> list[str]:
        """The names of its signals, and of those that other processes added meanwhile."""
        return [*self.signals, *(self._home.signals() if self._home is not None else [])]

    # Storage

    def set_backend(self, backend: Any, auto_save: bool = True) -> None:
        """Keep the dataset in this backend from now on.

        Parameters
        ----------
        backend : StorageBackend
            Where.
        auto_save : bool
            Whether all of it is written now, and each change from now on; else :meth:`save_all` writes.

        Raises
        ------
        siltstone.errors.ExistsError
            If the backend has a dataset of this name.
        """
        home = Home(backend, self.name)
        if home.record() is not None:
            raise ExistsError(f"the dataset {self.name!r} is already in {backend!r}; open it, or take another name")
        with undo_of(self, *self) as attempt:
            for signal in self:
                signal._move_to(home, auto_save)
            self._home, self._auto_save, self._known = home, auto_save, None
            if auto_save:
                self._save_after([], attempt)

    def use_memory_storage(self, auto_save: bool = True) -> Dataset:
        """Keep it in a backend in memory."""
        self.set_backend(PandasInMemoryAdapter(), auto_save)
        return self

    def use_disk_storage(self, path: str | PathLike[str], auto_save: bool = True) -> Dataset:
        """Keep it in a folder of Parquet files."""
        self.set_backend(PandasOnDiskAdapter(path), auto_save)
        return self

    def use_polars_storage(self, path: str | PathLike[str], auto_save: bool = True) -> Dataset:
        """Keep it in a folder of Parquet files, for Polars."""
        self.set_backend(PolarsAdapter(path), auto_save)
        return self

    def use_sql_storage(self, connection_string: str, auto_save: bool = True) -> Dataset:
        """Keep it in a database."""
        self.set_backend(SQLDatabaseAdapter(connection_string), auto_save)
        return self

    def save(
        self,
        directory: str | PathLike[str],
        separator: str = ",",
        output_index_name: str | None = None,
        output_value_names: str | Mapping[str, str] | None = None,
        *,
        overwrite: bool = False,
    ) -> Dataset:
        """Write it in the layout of meteaudata: ``NAME.zip`` in this folder.

        Parameters
        ----------
        directory : path
            The folder; made if it is not there. Nothing else in it is touched.
        separator : str
            What stands between index and value in the CSV files. meteaudata itself reads commas alone;
            :meth:`load` finds another one.
        output_index_name : str, optional
            The head of the column of the index, if not its own name.
        output_value_names : str or dict, optional
            The head of the column of the values, one for all series or by full name, if not their own.
        overwrite : bool
            Whether a zip of that name is replaced; all of it or nothing.

        Raises
        ------
        siltstone.errors.ExistsError
            If there is one, and it may not be replaced.
        """
        from siltstone.series._meteaudata import Layout, export_dataset, folder_of

        layout = Layout(separator, output_index_name, output_value_names)
        path = folder_of(directory, self.name) / f"{self.name}.zip"
        backend = self._home.backend if self._home is not None and self._home.is_ours else None
        if backend is None:
            backend = PandasInMemoryAdapter()
            copy_to(self, backend)
        elif self._auto_save:
            self.save_all()
        export_dataset(backend, self.name, path, overwrite=overwrite, layout=layout)
        return self

    @classmethod
    def load(cls, source_path: str | PathLike[str], dataset_name: str | None = None) -> Dataset:
        """A dataset of a zip or a folder that meteaudata wrote, or :meth:`save`; in memory.

        Parameters
        ----------
        source_path : path
            The zip or folder; nothing is unpacked, and nothing beside it is touched.
        dataset_name : str, optional
            Its name there; needed if there are several.

        Raises
        ------
        siltstone.errors.InvalidError
            If some of it cannot be read.
        """
        from siltstone.series._meteaudata import import_dataset

        backend = PandasInMemoryAdapter()
        report = import_dataset(source_path, backend, strict=True)
        names = report["datasets"]
        if dataset_name is None:
            if len(names) != 1:
                raise InvalidError(f"dataset_name: expected one of {names}, got none")
            dataset_name = names[0]
        return cls.open(backend, dataset_name)

    def save_all(self) -> None:
        """Write what is not written yet, in one commit.

        Raises
        ------
        siltstone.errors.InvalidError
            Without a backend.
        """
        if self._home is None:
            raise InvalidError(f"the dataset {self.name!r}: expected one with a backend, got one in memory")
        self._save_after([], None)

    def load_all(self) -> None:
        """Load the points of all series that are not in memory."""
        for signal in self:
            for series in signal:
                _ = series.series

    def unload(self) -> None:
        """Forget the points of all series that are saved."""
        for signal in self:
            signal.unload()

    def _changed(self, attempt: _siltstone.Undo) -> None:
        self.last_updated = now()
        if self._auto_save and self._home is not None:
            self._save_after([], attempt)

    def _save_after(self, changes: list[Change], attempt: _siltstone.Undo | None) -> None:
        if self._home is None:
            return
        for signal in self:
            changes = changes + signal._changes()
        record = self._record()
        if record != self._known:
            changes.append(("record", _siltstone.series_record_name(self.name), record, None))
        after = [one for signal in self for one in signal._after()]
        self._home.commit(changes, [*after, (self.__dict__, {"_known": record})], attempt)

    def _record(self) -> str:
        return _metadata.encode(
            {
                "name": self.name,
                "description": self.description,
                "owner": self.owner,
                "purpose": self.purpose,
                "project": self.project,
                "created_on": iso(self.created_on),
                "last_updated": iso(self.last_updated),
                **self.more,
            }
        )

    # Looking at it

    def metadata_dict(self) -> dict[str, Any]:
        """All that is known of it, of its signals and their series, but the points."""
        signals = {name: signal.metadata_dict() for name, signal in self.signals.items()}
        return {**_metadata.decode(self._record()), "signals": signals}

    def build_dependency_graph(self, ts_name: str) -> list[dict[str, str]]:
        """What a series was made of: edges ``step``, ``type``, ``origin``, ``destination``."""
        return dependencies(self._series(ts_name)[1])

    def build_full_dependency_graph(self) -> list[dict[str, str]]:
        """What every series was made of: edges, each once."""
        edges: list[dict[str, str]] = []
        for signal in self:
            for series in signal:
                edges += [edge for edge in dependencies(series) if edge not in edges]
        return edges

    def to_pandas(self) -> Any:
        """All series side by side, joined by their index."""
        import pandas as pd

        frames = [signal.to_pandas() for signal in self if len(signal)]
        return pd.concat(frames, axis=1) if frames else pd.DataFrame()

    def to_polars(self) -> dict[str, Any]:
        """A Polars DataFrame for each series, by its full name."""
        return {name: frame for signal in self for name, frame in signal.to_polars().items()}

    def to_arrow(self) -> dict[str, Any]:
        """A PyArrow table for each series, by its full name."""
        return {name: table for signal in self for name, table in signal.to_arrow().items()}

    def to_xarray(self) -> Any:
        """All series as an xarray Dataset, joined along their index; NetCDF is one call from there.

        See :meth:`Signal.to_xarray`.
        """
        known = {"description": self.description, "owner": self.owner, "purpose": self.purpose}
        attrs = {name: text for name, text in known.items() if text is not None}
        series = ((one.series, signal.units) for signal in self for one in signal)
        return _grid.dataset(series, {"dataset": self.name, **attrs})

    def model_dump_json(self) -> str:
        """All of it as JSON, points too: :meth:`model_validate_json` gives it back equal."""
        signals = {name: signal._dump() for name, signal in self.signals.items()}
        return _metadata.encode({**_metadata.decode(self._record()), "signals": signals})

    @classmethod
    def model_validate_json(cls, text: str) -> Dataset:
        """The dataset of a JSON text of :meth:`model_dump_json`; in memory."""
        return parsed(text, "a dataset", cls._of)

    @classmethod
    def _of(cls, record: dict[str, Any]) -> Dataset:
        signals = {name: Signal._of(one) for name, one in record.pop("signals").items()}
        made = cls(
            record.pop("name"),
            created_on=parse_time(record.pop("created_on")),
            last_updated=parse_time(record.pop("last_updated")),
            **{field: record.pop(field, None) for field in ("description", "owner", "purpose", "project")},
            more=record,
        )
        made.signals = signals
        return made

    def plot(
        self,
        signal_names: Iterable[str] | None = None,
        ts_names: Iterable[str] | None = None,
        title: str | None = None,
        y_axis: str | None = None,
        x_axis: str | None = None,
        start: Any = None,
        end: Any = None,
    ) -> Any:
        """Signals as one Plotly figure, each in a row of its own.

        Parameters
        ----------
        signal_names, ts_names : list of str, optional
            The names of the signals and of the series; all, if they are not said.
        title, y_axis, x_axis : str, optional
            Texts of the figure.
        start, end : optional
            As in :meth:`TimeSeries.plot`.
        """
        signals = list(self) if signal_names is None else [self[name] for name in names_of(signal_names)]
        chosen = None if ts_names is None else [self._series(name)[1] for name in names_of(ts_names)]
        rows = [
            row
            for signal in signals
            for row in _plot.rows_of(
                signal,
                (one for one in signal if chosen is None or any(one is it for it in chosen)),
                y_axis,
                start,
                end,
            )
        ]
        return _plot.figure(rows, title or self.name, x_axis)

    def display(self, format: str = "html") -> None:
        """Show it: in a notebook (``"html"``), as text (``"text"``), or as its plot (``"plot"``)."""
        _display.show(self, format)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return self._record() == other._record() and self.signals == other.signals

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} signals)"

    def _repr_html_(self) -> str:
        return _display.dataset(self)


def datasets(backend: Backend) -> list[str]:
    """The names of the datasets that a backend has, sorted."""
    prefix = "dataset/"
    names = backend._inner.list_records(prefix)
    return sorted(_siltstone.series_unescape(name[len(prefix) :]) for name in names)
