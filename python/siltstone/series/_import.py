"""What loggers and other databases wrote, into a backend."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from siltstone import _siltstone
from siltstone._reports import Skipped, skipped_reports
from siltstone.errors import InvalidError
from siltstone.series._backends import Backend

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], object] | None


class ImportedSeries(NamedTuple):
    """A series that an import has written.

    Attributes
    ----------
    key, values : str
        Its key, and the type of its values.
    points, skipped, replaced : int
        Points that were added; points of the file that were skipped; stored points that were replaced.
    conflicts : int
        Of the skipped points, those that the series has with another value, which stays.
    first_conflict : str or None
        The first of them, in words.
    widened : str or None
        The types that the stored series got to hold the new points.
    """

    key: str
    values: str
    points: int
    skipped: int
    replaced: int
    widened: str | None
    conflicts: int = 0
    first_conflict: str | None = None


class PointsReport(NamedTuple):
    """What an import of tables did.

    Attributes
    ----------
    taken_for : list of (Path, str)
        What the columns of each file were taken for.
    rows : int
        Rows of the files.
    series : list of ImportedSeries
        What was added, file by file.
    notes : list of (Path, str)
        What else should be known.
    skipped : list of Skipped
        Files that could not be imported.
    """

    taken_for: list[tuple[Path, str]]
    rows: int
    series: list[ImportedSeries]
    notes: list[tuple[Path, str]]
    skipped: list[Skipped]


class InfluxReport(NamedTuple):
    """What an import of files of InfluxDB did.

    Attributes
    ----------
    taken_for : list of (Path, str)
        What each file was taken for.
    series, points : int
        Series and points of the files, each time of a series counted once.
    added, unchanged : int
        Of these points, stored now, and stored before with the same value.
    repeated : int
        Points of line protocol that are written again later in their file: the last one holds.
    notes : list of (Path, str)
        What else should be known.
    skipped : list of Skipped
        Points that the backend has with another value, which stays; lines and files that could not be read.
    """

    taken_for: list[tuple[Path, str]]
    series: int
    points: int
    added: int
    unchanged: int
    repeated: int
    notes: list[tuple[Path, str]]
    skipped: list[Skipped]


def paths_of(files: PathLike | Iterable[PathLike]) -> list[PathLike]:
    """The files of an import, of which there is one at least."""
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not paths:
        raise InvalidError("files: expected some, got none")
    return paths


def inner_of(backend: Backend | PathLike | None) -> _siltstone.SeriesStore | PathLike | None:
    """Where an import goes, for the compiled half."""
    return backend._inner if isinstance(backend, Backend) else backend


def _texts(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _notes(files: list[dict[str, Any]]) -> list[tuple[Path, str]]:
    return [(Path(file["file"]), note) for file in files for note in file["notes"]]


def import_points(
    files: PathLike | Iterable[PathLike],
    backend: Backend | PathLike | None,
    *,
    key: str | None = None,
    dataset: str | None = None,
    append: bool = False,
    overlap: str = "refuse",
    overwrite: bool = False,
    index: str | None = None,
    tz: str | None = None,
    sheet: str | None = None,
    separator: str | None = None,
    skip_lines: int | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    missing: str | Iterable[str] = (),
    text: str | Iterable[str] = (),
    time_format: str | None = None,
    day_first: bool | None = None,
    time_unit: str | None = None,
    date_column: str | None = None,
    time_column: str | None = None,
    ambiguous: str = "infer",
    nonexistent: str = "refuse",
    bad_cells: str = "refuse",
    dry_run: bool = False,
    progress: Progress = None,
) -> PointsReport:
    r"""Import tables of loggers: CSV (TOA5 and HOBO too), JSON lines, Excel, Parquet and Arrow.

    One column is the index, and each other one a series. What can be read in two ways is refused, and the error
    names the option that decides. A file is one commit. Of several files, one that cannot be imported is named in
    the report, and the others go on.

    Parameters
    ----------
    files : path or list of paths
        The tables.
    backend : Backend, path or None
        Where the series go: a backend, or an SQLite file, made if it is not there; None for a dry run.
    key : str, optional
        The key of the series; of several columns, each has its name behind it, ``KEY/COLUMN``. Several files are one
        series.
    dataset : str, optional
        What stands before the names of the columns where there is no key: the name of the file unless given.
    append : bool
        Puts the points behind those that are there.
    overlap : {"refuse", "skip", "replace", "keep"}
        With ``append``: points that are not later than the last stored one. See :meth:`Backend.append`.
    overwrite : bool
        Replaces series that are there.
    index : str, optional
        The column of the index: the first one unless given.
    tz : str, optional
        The zone of index times without an offset.
    sheet : str, optional
        The sheet of a workbook: the one that has cells unless given.
    separator, decimal, thousands : str, optional
        Between fields, in numbers, and between thousands; found in the file unless given.
    skip_lines : int, optional
        Lines before the header.
    header : bool, optional
        Whether the first line is a header; found in the file unless given.
    encoding : {"utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1"}, optional
        Of the text: by its byte order mark, or UTF-8, unless given.
    missing : list of str
        Texts that mean a missing value, beside the usual ones.
    text : list of str
        Columns to take as texts, whatever they look like.
    time_format : str, optional
        How index times are written, as ``"%d.%m.%Y %H:%M"``.
    day_first : bool, optional
        Whether the day stands first in dates as ``02/08/2022``.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Of index numbers that count from 1970-01-01 UTC.
    date_column, time_column : str, optional
        Columns of the date and of the time of day, which are joined.
    ambiguous : {"infer", "earliest", "latest", "refuse"}
        Local times that clocks show twice.
    nonexistent : {"refuse", "shift"}
        Local times that clocks skip.
    bad_cells : {"refuse", "missing"}
        Cells that are no number in a column of numbers.
    dry_run : bool
        Reads all of it, reports what an import would do, and stores nothing.
    progress : callable, optional
        Gets files done and in all; what it raises stops the import.

    Raises
    ------
    InvalidError
        For a file that cannot be read, if there is no other. Nothing of it was stored.
    ExistsError
        For a series that is there, without ``append`` and ``overwrite``.

    Examples
    --------
    >>> import os, tempfile
    >>> from siltstone import series
    >>> path = os.path.join(tempfile.mkdtemp(), "plant.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("time,flow\n2024-01-01 00:00,1.5\n2024-01-01 01:00,1.6\n")
    >>> backend = series.Backend("memory:")
    >>> report = series.import_points(path, backend, tz="Europe/Berlin")
    >>> report.taken_for[0][1]
    'time: timestamps of Europe/Berlin; flow: numbers'
    >>> backend.load("plant/flow")[0].tolist()
    [1.5, 1.6]
    """
    if overlap != "refuse" and not append:
        raise InvalidError(f"overlap: expected append=True beside it, got {overlap!r} alone")
    if append and overwrite:
        raise InvalidError("append and overwrite: expected one of them, got both")
    read = {
        "index": index,
        "tz": tz,
        "sheet": sheet,
        "separator": separator,
        "skip_lines": skip_lines,
        "header": header,
        "encoding": encoding,
        "decimal": decimal,
        "thousands": thousands,
        "missing": _texts(missing),
        "text": _texts(text),
        "time_format": time_format,
        "day_first": day_first,
        "time_unit": time_unit,
        "date_column": date_column,
        "time_column": time_column,
        "ambiguous": ambiguous,
        "nonexistent": nonexistent,
        "bad_cells": bad_cells,
    }
    stored = overlap if append else "overwrite" if overwrite else None
    found = json.loads(
        _siltstone.series_import_points(
            inner_of(backend), paths_of(files), (key, dataset, stored), read, dry_run, progress
        )
    )
    reports = found["files"]
    return PointsReport(
        taken_for=[(Path(file["file"]), "; ".join(file["columns"])) for file in reports],
        rows=sum(file["rows"] for file in reports),
        series=[ImportedSeries(**one) for file in reports for one in file["series"]],
        notes=_notes(reports),
        skipped=skipped_reports(found["skipped"]),
    )


def import_influx(
    files: PathLike | Iterable[PathLike],
    backend: Backend | PathLike | None,
    *,
    key: str | None = None,
    time_unit: str | None = None,
    finished: bool = False,
    dry_run: bool = False,
    progress: Progress = None,
) -> InfluxReport:
    r"""Import files of InfluxDB: annotated CSV and line protocol, plain or packed as ``.gz``.

    A measurement, its tags and a field are one series, ``MEASUREMENT,TAG=VALUE/FIELD``, with times of UTC. Points
    that are there already change nothing, so that the same call takes what a file got meanwhile. Of several files,
    one that cannot be read is named in the report, and the others go on.

    Parameters
    ----------
    files : path or list of paths
        The files. Which of the two each is, its content says.
    backend : Backend, path or None
        Where the series go: a backend, or an SQLite file, made if it is not there; None for a dry run.
    key : str, optional
        What stands before the key of each series, with ``/`` between.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Of the timestamps of line protocol; ns unless given.
    finished : bool
        A last line without a newline is whole, and not skipped as one that may be cut.
    dry_run : bool
        Reads all of it, reports what an import would do, and stores nothing.
    progress : callable, optional
        Gets series done and in all of a file; what it raises stops the import.

    Raises
    ------
    InvalidError
        For a file that is neither, if there is no other. Nothing of it was stored.

    Examples
    --------
    >>> import os, tempfile
    >>> from siltstone import series
    >>> path = os.path.join(tempfile.mkdtemp(), "weather.lp")
    >>> with open(path, "w") as file:
    ...     _ = file.write("weather,station=A temp=15.4 1715201400000000000\n")
    >>> backend = series.Backend("memory:")
    >>> series.import_influx(path, backend).added
    1
    >>> backend.list_keys()
    ['weather,station=A/temp']
    """
    words = (key, time_unit, finished)
    found = json.loads(_siltstone.series_import_influx(inner_of(backend), paths_of(files), words, dry_run, progress))
    reports = found["files"]
    counts = {name: sum(file[name] for file in reports) for name in _INFLUX_COUNTS}
    lines = [skipped for file in reports for skipped in file["skipped"]]
    return InfluxReport(
        taken_for=[(Path(file["file"]), file["taken_for"]) for file in reports],
        notes=_notes(reports),
        skipped=skipped_reports(lines + found["skipped"]),
        **counts,
    )


_INFLUX_COUNTS = ("series", "points", "added", "unchanged", "repeated")
