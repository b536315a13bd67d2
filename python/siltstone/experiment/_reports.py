"""What the experiment store reports, as named tuples."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from siltstone import _repr
from siltstone._reports import Skipped, skipped_reports


class SimulationInfo(NamedTuple):
    """What is known of a simulation.

    Attributes
    ----------
    simulation_id : str
        Its id.
    experiment_id : str or None
        The experiment that it belongs to.
    status : str
        ``"running"``, ``"completed"``, ``"failed"``, ``"crashed"``, ``"stopped"``, or what it was given.
    start_time, end_time : str or None
        In UTC, as ``2026-01-19 12:00:00.250000``.
    error : str or None
        Why it failed.
    parameters, results_summary : dict
        What it was given, and what came of it.
    provenance : dict
        Command line, machine, versions of packages, the state of the code.
    last_step : int or None
        The last step of which all is in the file.
    rows : int
        Its records in the file.
    """

    simulation_id: str
    experiment_id: str | None
    status: str
    start_time: str | None
    end_time: str | None
    error: str | None
    parameters: dict[str, Any]
    results_summary: dict[str, Any]
    provenance: dict[str, Any]
    last_step: int | None
    rows: int

    def __repr__(self) -> str:
        return _repr.record(self)


#: The columns of a list of simulations as it is shown.
_SHOWN = ("simulation_id", "status", "start_time", "end_time", "last_step", "rows", "parameters", "error")


def simulation_infos(found: list[dict[str, Any]]) -> list[SimulationInfo]:
    """Records of simulations from their JSON."""
    return _repr.Records((SimulationInfo(**info) for info in found), _SHOWN)


class TableSize(NamedTuple):
    """The room that the records of a simulation take in a table; bytes of rows are by their share of the table."""

    simulation_id: str
    table: str
    rows: int
    compacted_rows: int
    bytes: int


class Exported(NamedTuple):
    """A file that was written."""

    path: str
    table: str
    simulation_id: str
    rows: int
    bytes: int


class MergeConflict(NamedTuple):
    """A simulation that could not be merged, and why."""

    source: str
    simulation_id: str
    why: str


class MergeReport(NamedTuple):
    """What a merge did.

    Attributes
    ----------
    copied : list of str
        Simulations that were copied.
    unchanged : list of str
        Simulations that were there already, equal in every record.
    conflicts : list of MergeConflict
        Simulations that were left out: what is there was not changed.
    rows : int
        Records that were copied.
    """

    copied: list[str]
    unchanged: list[str]
    conflicts: list[MergeConflict]
    rows: int


def merge_report(text: str) -> MergeReport:
    """The report of a JSON text."""
    found = json.loads(text)
    conflicts = [MergeConflict(**conflict) for conflict in found.pop("conflicts")]
    return MergeReport(conflicts=conflicts, **found)


class ImportReport(NamedTuple):
    """What an import did.

    Attributes
    ----------
    simulations : list of str
        Simulations that were imported.
    unchanged : list of str
        Simulations that were there already.
    rows : dict of str to int
        Records that were imported, by table.
    skipped : list of Skipped
        Rows that were not.
    """

    simulations: list[str]
    unchanged: list[str]
    rows: dict[str, int]
    skipped: list[Skipped]


def import_report(found: dict[str, Any]) -> ImportReport:
    """The report of a JSON object."""
    skipped = skipped_reports(found["skipped"])
    return ImportReport(found["simulations"], found["unchanged"], dict(found["rows"]), skipped)
