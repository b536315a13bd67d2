"""What the store reports, as named tuples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siltstone._reports import Skipped, skipped_reports


class Tick(NamedTuple):
    """One quote.

    Attributes
    ----------
    symbol : str
        The symbol.
    time_ns : int
        ns since 1970-01-01 UTC.
    bid, ask, spread : float
        As they were given.
    lp : str
        The source (liquidity provider).
    broker_id : str
        The broker.
    """

    symbol: str
    time_ns: int
    bid: float
    ask: float
    spread: float
    lp: str = ""
    broker_id: str = ""

    @property
    def time(self) -> np.datetime64:
        """The time, UTC."""
        return np.datetime64(self.time_ns, "ns")


class FlushReport(NamedTuple):
    """What has been written since the store was opened, in ticks.

    Attributes
    ----------
    written, json_written : int
        In day files; in JSON files.
    duplicates, replaced, refused : int
        Left out, replaced by a later one, and refused, by the rule for duplicates.
    dropped : int
        Not written since the queue was full.
    spilled, recovered : int
        Put into spill files, and of these written since.
    lost : int
        Neither written nor spilled when the store was stopped.
    """

    written: int
    json_written: int
    duplicates: int
    replaced: int
    refused: int
    dropped: int
    spilled: int
    recovered: int
    lost: int


class CompactedDay(NamedTuple):
    """What a compaction did to one day: ticks moved into blocks, blocks written, bytes of the file before and after."""

    day: str
    path: Path
    rows: int
    blocks: int
    bytes_before: int
    bytes_after: int


class RetainedDay(NamedTuple):
    """What a policy does to a day: ``"delete"`` or ``"thin"``, its ticks, those removed, its bytes.

    ``imported_files`` are imported files that can bring removed ticks of a symbol again; a policy forgets none.
    """

    day: str
    action: str
    ticks: int
    removed: int
    bytes: int
    imported_files: int = 0


class DayInfo(NamedTuple):
    """A day file: ticks that are rows, ticks in blocks, blocks, symbols, size."""

    day: str
    path: Path
    rows: int
    compacted: int
    blocks: int
    symbols: int
    bytes: int


class DoctorReport(NamedTuple):
    """What the doctor looked at and found.

    Attributes
    ----------
    files, ticks, blocks : int
        Day files, ticks in them, and blocks whose checksum was computed again.
    findings : list of (location, what)
        What is wrong; empty if nothing is.
    """

    files: int
    ticks: int
    blocks: int
    findings: list[tuple[str, str]]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class TickImportReport(NamedTuple):
    """What an import did.

    Attributes
    ----------
    files, files_done : int
        Files found; of these, read and stored, or already stored.
    ticks_read, ticks_migrated, ticks_skipped : int
        Ticks read; stored; there already, or left out by the rule for duplicates.
    ticks_bad : int
        Ticks that could not be read; the others of their files were.
    skipped : list of Skipped
        Files that could not be read or stored, wholly or in part, with the byte or row.
    taken_for : list of (path, str)
        What each file of quotes was taken for.
    days : list of DayInfo
        The days that the files have ticks of, and what is in them now; empty after a dry run.
    """

    files: int
    files_done: int
    ticks_read: int
    ticks_migrated: int
    ticks_skipped: int
    ticks_bad: int
    skipped: list[Skipped]
    taken_for: list[tuple[Path, str]]
    days: list[DayInfo]

    @property
    def ok(self) -> bool:
        """Whether everything was imported."""
        return not self.skipped


def flush_report(text: str) -> FlushReport:
    """A report of a flush from its JSON."""
    return FlushReport(**json.loads(text))


def days(report: Any, text: str) -> list[Any]:
    """Reports of days from their JSON."""
    return day_reports(report, json.loads(text))


def day_reports(report: Any, found: list[dict[str, Any]]) -> list[Any]:
    """Reports of days from their fields."""
    for day in found:
        if "path" in day:
            day["path"] = Path(day["path"])
    return [report(**day) for day in found]


def doctor_report(text: str) -> DoctorReport:
    """A doctor's report from its JSON."""
    fields = json.loads(text)
    fields["findings"] = [(found["location"], found["what"]) for found in fields["findings"]]
    return DoctorReport(**fields)


def import_report(text: str) -> TickImportReport:
    """An import's report from its JSON."""
    fields = json.loads(text)
    fields["skipped"] = skipped_reports(fields["skipped"])
    fields["taken_for"] = [(Path(path), said) for path, said in fields["taken_for"]]
    fields["days"] = day_reports(DayInfo, fields["days"])
    return TickImportReport(**fields)
