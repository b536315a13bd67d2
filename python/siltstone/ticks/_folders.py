"""What is done to folders of ticks without a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from siltstone import _siltstone
from siltstone._arguments import mark
from siltstone.errors import InvalidError
from siltstone.ticks._reports import DoctorReport, TickImportReport, doctor_report, import_report

PathLike = str | os.PathLike[str]


def import_ticks(
    input_dir: PathLike,
    output_dir: PathLike,
    *,
    batch_size: int = 1_000,
    dry_run: bool = False,
    duplicates: str = "keep_all",
    duplicate_key_ns: int = 1,
    durability: str = "disk",
    compact_after_days: int | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> TickImportReport:
    """Import what the RTX engine wrote: its JSON tree and its day files, ``.zst`` too.

    It can be interrupted and repeated: what is there already is not stored again. A malformed tick is
    skipped by itself: its file is named in the report, with the byte or row, and the rest goes on. Not for a folder
    that a store in this process has open: it would not know.

    Parameters
    ----------
    input_dir : path
        Folder with ``SYMBOL/YYYY-MM-DD.json`` or ``ticks_YYYY-MM-DD.db``, at any depth.
    output_dir : path
        Folder of the day files.
    batch_size : int
        Ticks in one transaction of a day that is not over yet.
    dry_run : bool
        Reads and counts only.
    duplicates, duplicate_key_ns, durability
        As in :class:`TickStoreConfig`; with ``"keep_all"`` a tick that is there already, equal in
        everything, is skipped.
    compact_after_days : int, optional
        The ticks of a day that has been over for so many days go into blocks, which SQLite alone cannot read; 0 is
        every day but today. Without it, all become rows.
    threads : int
        0 for as many as there are processors.
    progress : callable, optional
        Gets files done and in all; what it raises stops the import.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    InvalidError
        If no file in it is one of ticks.
    """
    return import_report(
        _siltstone.ticks_import(
            (input_dir, output_dir),
            None,
            (batch_size, threads, compact_after_days),
            dry_run,
            (duplicates, duplicate_key_ns),
            durability,
            progress,
        )
    )


def import_quotes(
    files: PathLike | Iterable[PathLike],
    output_dir: PathLike,
    *,
    format: str | None = None,
    columns: Mapping[str, str | int] | None = None,
    symbol: str | None = None,
    lp: str | None = None,
    tz: str | None = None,
    ambiguous: str = "refuse",
    time_unit: str | None = None,
    time_format: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    carry: bool = False,
    finished: bool = False,
    batch_size: int = 1_000,
    dry_run: bool = False,
    duplicates: str = "keep_all",
    duplicate_key_ns: int = 1,
    durability: str = "disk",
    compact_after_days: int | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> TickImportReport:
    r"""Import files of ticks: CSV, plain or packed as ``.gz`` or ``.zst``, and Parquet.

    A file is of a format that is known by name, or has columns that ``columns`` names; what can be read in two ways is
    refused. Some of a file is in memory at a time. It can be interrupted and repeated: what is there already is not
    stored again.

    Parameters
    ----------
    files : path or list of paths
        The files. One that cannot be read is named in the report, and the others go on.
    output_dir : path
        Folder of the day files.
    format : {"histdata", "dukascopy", "mt5", "binance"}, optional
        Whose files they are; recognised by the first line unless given.
    columns : dict, optional
        ``{"time": "ts", "bid": "b", "ask": "a"}``, or numbers from 1 of a file without a header; ``price`` is both
        sides, ``date`` one beside ``time``; ``spread``, ``symbol`` and ``lp`` may be there.
    symbol, lp : str, optional
        The symbol of all ticks, and their source.
    tz : str, optional
        The zone of times without an offset from UTC: ``"UTC"``, ``"Europe/Berlin"``, ``"-05:00"``.
    ambiguous : {"refuse", "earliest", "latest"}
        What a time is that clocks of the zone show twice. If refused, its line is skipped, and named.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Of times that are numbers, counted from 1970-01-01 UTC.
    time_format : str, optional
        How times are written, as ``"%d/%m/%Y %H:%M:%S%.f"``.
    separator : str, optional
        Between fields; found in the first line unless given.
    decimal : {".", ","}, optional
        The decimal mark of prices in text; a point unless given.
    thousands : str, optional
        The mark between the thousands of prices.
    carry : bool
        Whether an empty bid or ask is the last one. Without it such a line is skipped, and named.
    finished : bool
        A last line without a newline is whole, and not skipped as one that may be cut.
    batch_size, dry_run, duplicates, duplicate_key_ns, durability, compact_after_days, threads, progress
        As of :func:`import_ticks`.

    Raises
    ------
    InvalidError
        For an option that is none.

    Examples
    --------
    >>> import os, tempfile
    >>> from siltstone.ticks import import_quotes
    >>> folder = tempfile.mkdtemp()
    >>> path = os.path.join(folder, "DAT_ASCII_EURUSD_T_201202.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("20120201 000003660,1.306600,1.306770,0\n20120201 000003973,1.306580,1.306750,0\n")
    >>> report = import_quotes(path, os.path.join(folder, "ticks"))
    >>> report.ticks_migrated, report.taken_for[0][1]
    (2, 'histdata: no header, bid before ask, times of UTC-05:00 all year, symbol EURUSD')
    """
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not paths:
        raise InvalidError("files: expected some, got none")
    marks = [mark(separator=separator), mark(decimal=decimal), mark(thousands=thousands)]
    named = None if columns is None else ",".join(f"{what}={column}" for what, column in columns.items())
    return import_report(
        _siltstone.ticks_import(
            ("", output_dir),
            (paths, ([format, named, symbol, lp], (tz, ambiguous), time_unit, time_format, marks, [carry, finished])),
            (batch_size, threads, compact_after_days),
            dry_run,
            (duplicates, duplicate_key_ns),
            durability,
            progress,
        )
    )


def doctor(base: PathLike) -> DoctorReport:
    """Examine a folder of day files: checksums, counts, order, days, leftover files.

    Nothing is changed.

    Raises
    ------
    NotFoundError
        If there is no such folder. What is wrong in it is a finding.
    """
    return doctor_report(_siltstone.ticks_doctor(base))
