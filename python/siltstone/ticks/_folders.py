"""What is done to folders of ticks without a store."""

from __future__ import annotations

import os
from collections.abc import Callable

from siltstone import _siltstone
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
