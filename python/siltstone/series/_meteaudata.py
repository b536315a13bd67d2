"""What meteaudata wrote, into a backend, and a dataset of a backend in its layout."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone._reports import skipped_reports
from siltstone.errors import ExistsError, InvalidError, InvalidTypeError
from siltstone.series._backends import Backend, PandasInMemoryAdapter
from siltstone.series._home import Home
from siltstone.series._import import inner_of

if TYPE_CHECKING:
    from siltstone.series._signal import Signal


def import_dataset(
    path: str | os.PathLike[str],
    backend: Backend | str | os.PathLike[str] | None,
    name: str | None = None,
    *,
    overwrite: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Import what meteaudata wrote: a zip, a folder or an SQLite database.

    To import it once more changes nothing. No file is changed, and nothing that a file names is opened or run.

    Parameters
    ----------
    path
        The zip, folder or database.
    backend
        Where the series go: a backend, or an SQLite file, made if it is not there; None for a dry run.
    name
        The name of the dataset, if not its own.
    overwrite
        Replace what is there with another content.
    strict
        Keep nothing if anything cannot be read.
    dry_run
        Read all of it, report what an import would do, and store nothing.
    progress
        Gets series done and in all; what it raises stops the import.

    Returns
    -------
    dict
        ``datasets``, the numbers ``series``, ``points`` and ``unchanged``; ``conflicts`` and ``skipped``, a list
        of :class:`siltstone.Skipped` each; and ``notes``.
    """
    flags = (overwrite, strict, dry_run)
    text = _siltstone.series_import(inner_of(backend), os.fspath(path), name, flags, progress)
    report: dict[str, Any] = json.loads(text)
    return report | {name: skipped_reports(report[name]) for name in ("conflicts", "skipped")}


@dataclass(frozen=True)
class Layout:
    """How the CSV files of an exported dataset or signal look.

    Parameters
    ----------
    separator : str
        What stands between index and value: ``","``, ``";"``, a tab or ``"|"``. meteaudata reads commas alone.
    index_name : str, optional
        The head of the column of the index, if not its own name.
    value_names : str or dict, optional
        The head of the column of the values, one for all series or by full name, if not their own.
    """

    separator: str = ","
    index_name: str | None = None
    value_names: str | Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.separator, str) or len(self.separator) != 1:
            raise InvalidTypeError(f"separator: expected a text of one character, got {self.separator!r}")
        if self.index_name is not None and not isinstance(self.index_name, str):
            raise InvalidTypeError(f"output_index_name: expected a text, got {self.index_name!r}")
        names = self.value_names
        listed = list(names.items()) if isinstance(names, Mapping) else [("", "" if names is None else names)]
        if not all(isinstance(part, str) for pair in listed for part in pair):
            raise InvalidTypeError(f"output_value_names: expected a text, or texts by name, got {names!r}")

    def parts(self, series: Iterable[str]) -> tuple[str, str | None, dict[str, str]]:
        """The layout as the library takes it."""
        names = self.value_names
        if isinstance(names, str):
            names = dict.fromkeys(series, names)
        return self.separator, self.index_name, dict(names or {})


def export_dataset(
    backend: Backend,
    name: str,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    layout: Layout = Layout(),
) -> int:
    """Write a dataset in the layout of meteaudata: a zip if the path ends so, else a folder.

    Parameters
    ----------
    backend
        Where the dataset is.
    name
        Its name.
    path
        The zip or folder; there is the whole of it or nothing.
    overwrite
        Replace a zip that is there. A folder is never replaced.
    layout
        How the CSV files look.

    Returns
    -------
    int
        The number of points.
    """
    return _export(backend, name, None, os.fspath(path), overwrite, layout)


def _export(backend: Backend, name: str, signal: str | None, path: str, overwrite: bool, layout: Layout) -> int:
    series = [full for _, _, full in Home(backend, name).series()]
    return _siltstone.series_write_meteaudata(backend._inner, name, path, overwrite, (signal, *layout.parts(series)))


def folder_of(directory: str | os.PathLike[str], name: str) -> Path:
    """The folder in which a file of this name is written, made if it is not there."""
    if "/" in name or os.sep in name or name in (".", ".."):
        raise InvalidError(f"the name of a file: expected one without a separator, got {name!r}")
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_signal(
    signal: Signal, directory: str | os.PathLike[str], as_zip: bool, layout: Layout, overwrite: bool
) -> None:
    """See :meth:`Signal.save`."""
    from siltstone.series._copies import copy_to
    from siltstone.series._dataset import Dataset

    name, folder = signal.name, folder_of(directory, signal.name)
    backend = PandasInMemoryAdapter()
    dataset = Dataset("signal")
    dataset.signals = {name: signal}
    copy_to(dataset, backend)
    if as_zip:
        _export(backend, "signal", name, str(folder / f"{name}.zip"), overwrite, layout)
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix=".siltstone-") as made:
        _export(backend, "signal", name, os.path.join(made, "signal"), False, layout)
        # The metadata come last: what has them is whole.
        parts = sorted(Path(made, "signal").iterdir(), key=lambda part: part.is_file())
        for part in parts:
            if (folder / part.name).exists():
                raise ExistsError(f"{part.name!r} is already in {str(folder)!r}; take another folder")
        for part in parts:
            part.rename(folder / part.name)


def read_signal(path: str | os.PathLike[str], name: str | None) -> Signal:
    """See :meth:`Signal.load_from_directory`."""
    from siltstone.series._dataset import Dataset

    backend = PandasInMemoryAdapter()
    import_dataset(path, backend, "signals", strict=True)
    dataset = Dataset.open(backend, "signals")
    if name is None and len(dataset) != 1:
        raise InvalidError(f"signal_name: expected one of {dataset.all_signals}, got none")
    signal = dataset[dataset.all_signals[0] if name is None else _siltstone.signal_name(name)]
    signal._move_to(None, True)
    return signal
