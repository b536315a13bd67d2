"""What long jobs report, as named tuples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class BackupReport(NamedTuple):
    """A backup that was made and verified.

    Attributes
    ----------
    path : Path
        The copy.
    size_bytes : int
        Its size.
    rows : dict of str to int
        Tables and their rows, counted in the copy and found equal to the source's.
    removed : list of Path
        Older backups that retention removed after this one was verified.
    """

    path: Path
    size_bytes: int
    rows: dict[str, int]
    removed: list[Path]


class VerifyReport(NamedTuple):
    """What a verification looked at and found.

    Attributes
    ----------
    pages : int
        Pages of the file; 0 if it is none of SQLite's.
    checksums : int
        Arrays, blocks, rows and Parquet files whose checksum was computed again.
    without_checksum : int
        Arrays, blocks and files that were stored without a checksum, by another program or an earlier version.
    rows_without_checksum : int
        Rows that another program wrote or changed: they carry no checksum.
    findings : list of (location, what)
        What is wrong; empty if nothing is.
    """

    pages: int
    checksums: int
    without_checksum: int
    rows_without_checksum: int
    findings: list[tuple[str, str]]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Skipped(NamedTuple):
    """Input that an import skipped, and why. The rest was imported.

    Attributes
    ----------
    path : Path
        The file or folder; of an archive, the name of the part.
    table : str or None
        The table of the rows, in a file that has several.
    row : int or None
        The id of the row, if it is one.
    rows : int
        How many rows; 0 if it is all of the file or part.
    reason : str
        What is wrong, and where; of several rows, with some of them.
    """

    path: Path
    table: str | None
    row: int | None
    rows: int
    reason: str


def skipped_reports(found: list[dict[str, Any]]) -> list[Skipped]:
    """What was skipped, of its JSON."""
    return [Skipped(**{**skipped, "path": Path(skipped["path"])}) for skipped in found]


class Run(NamedTuple):
    """What the file knows of its run.

    Attributes
    ----------
    status : str
        ``"unknown"``, ``"running"`` (it goes on, or it was killed), ``"complete"`` or ``"failed"``.
    started_ns, finished_ns : int or None
        In ns since 1970-01-01 UTC.
    error : str or None
        Why it failed.
    timeline : (reference, time_scale, start_time) or None
        A timestamp ``t`` means ``reference + t * time_scale`` seconds since 1970-01-01 UTC.
    """

    status: str
    started_ns: int | None
    finished_ns: int | None
    error: str | None
    timeline: tuple[float, float, int] | None


class ImportReport(NamedTuple):
    """What an import did.

    Attributes
    ----------
    updates, unchanged : int
        Updates stored now, and those that were there already with the same content.
    initial_datasets : int
        Initial datasets stored now.
    bytes : int
        Bytes of JSON read.
    other_files : int
        Files whose names are not those of updates; they were not opened.
    skipped : list of Skipped
        Files that were skipped.
    conflicts : list of (Path, what, why)
        Files that say something else than the database; what it has stays.
    """

    updates: int
    unchanged: int
    initial_datasets: int
    bytes: int
    other_files: int
    skipped: list[Skipped]
    conflicts: list[tuple[Path, str, str]]


class FileReport(NamedTuple):
    """What an import of a file of another simulator did.

    Attributes
    ----------
    taken_for : str
        What the file was taken for.
    rows, rows_skipped : int
        Rows of it that were taken, and that were skipped.
    updates, unchanged : int
        Updates stored now (of a dry run, those that there are), and those that were there already with
        the same content.
    skipped : list of Skipped
        What was skipped.
    conflicts : list of (Path, what, why)
        Updates that the database has with another content; that stays.
    ends_early : bool
        Whether the file ends early: it is still written, or was cut off.
    """

    taken_for: str
    rows: int
    updates: int
    unchanged: int
    rows_skipped: int
    skipped: list[Skipped]
    conflicts: list[tuple[Path, str, str]]
    ends_early: bool


class CompactReport(NamedTuple):
    """What a compaction did.

    Attributes
    ----------
    rows : int
        Rows that are in blocks now and were not before: arrays of updates, records, points, ticks,
        embeddings.
    blocks : int
        Blocks written.
    bytes_before, bytes_after : int
        Bytes of the file that are in use. The file itself gets smaller by ``vacuum``.
    """

    rows: int
    blocks: int
    bytes_before: int
    bytes_after: int


class PublishedTable(NamedTuple):
    """What was published of a table.

    Attributes
    ----------
    segments, rows, bytes : int
        Files that were sent, their rows and bytes.
    removed : int
        Files that are no part of the table any more.
    commits : int
        Commits to the log of the table.
    kept : int
        Files that stay as they are since the folder has fewer ticks of them now.
    """

    segments: int
    rows: int
    bytes: int
    removed: int
    commits: int
    kept: int


class PublishReport(dict[str, PublishedTable]):
    """The tables that were published.

    Attributes
    ----------
    not_published : dict of str to int
        What the file has and publishing leaves out, and how many there are, as ``initial datasets of simulations``.
    """

    def __init__(self, tables: dict[str, PublishedTable], not_published: dict[str, int]) -> None:
        super().__init__(tables)
        self.not_published = not_published


class Metadata(NamedTuple):
    """The row of the documented table ``metadata``."""

    id: int
    version: str


def make(report: type[R], fields: dict[str, Any]) -> R:
    """A named tuple from its fields by name."""
    return report(**fields)
