"""What other tools wrote, into a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import NamedTuple

from siltstone import _siltstone
from siltstone._reports import Skipped, skipped_reports
from siltstone.errors import InvalidError

PathLike = str | os.PathLike[str]


class Imported(NamedTuple):
    """What an import understood and did.

    Attributes
    ----------
    kind : str
        The tool.
    understood : str
        What the source was taken for.
    found : dict of str to int
        How much it has: ``runs``, ``parameters``, ``tags``, ``metrics``, ``points``, ``texts``, ``arrays``,
        ``artifacts``.
    imported : list of str
        Runs that were imported, by their ids in the file; of a dry run, those that were read.
    continued : list of str
        Runs that were there and had changed or grown: what was new was added.
    unchanged : list of str
        Runs that were there, equal in everything.
    rows : int
        Records that were written.
    notes : list of str
        What is not finished in the source.
    not_carried : dict of str to int
        Kinds of things that the import does not carry, and how many of them the source has.
    skipped : list of Skipped
        What could not be read, and was skipped.
    """

    kind: str
    understood: str
    found: dict[str, int]
    imported: list[str]
    continued: list[str]
    unchanged: list[str]
    rows: int
    notes: list[str]
    not_carried: dict[str, int]
    skipped: list[Skipped]


def import_(
    source: PathLike,
    kind: str,
    output: PathLike | None = None,
    *,
    dry_run: bool = False,
    prefix: str = "",
    progress: Callable[[int, int], object] | None = None,
) -> Imported:
    """Import what another tool wrote; the source is only read, and nothing in it is run.

    A run becomes a simulation of the same id. A second import adds what is new, and changes nothing else.

    Parameters
    ----------
    source : path
        The folder or file.
    kind : str
        The tool: see :func:`import_kinds`.
    output : path
        The file that gets it, which is made if it is not there. Not needed for a dry run.
    dry_run : bool
        Whether to read all of it, say what was understood, and write nothing.
    prefix : str
        Text in front of the id of each run, where folders have the same ids.
    progress : callable, optional
        Gets the runs that are done, and their number.

    Returns
    -------
    Imported
        What was understood, what was done, and what was skipped.

    Raises
    ------
    NotFoundError
        For a source that is not there.
    InvalidError
        For a source that is none of the tool, a kind that is not known, and no output.

    Examples
    --------
    >>> import siltstone
    >>> report = siltstone.import_("mlruns", "mlflow", "runs.db")  # doctest: +SKIP
    >>> report.imported, report.skipped  # doctest: +SKIP
    (['8a1c5b1e0f9d4c6c9a0c5a4b7e2d1f30'], [])
    """
    if output is None and not dry_run:
        raise InvalidError("output: expected a file, or dry_run=True, got nothing")
    target = None if dry_run else output
    found = json.loads(_siltstone.import_runs(kind, source, target, prefix, progress))
    found["skipped"] = skipped_reports(found["skipped"])
    found["not_carried"] = dict(found["not_carried"])
    return Imported(**found)


def import_kinds() -> dict[str, str]:
    """Name the kinds that :func:`import_` takes, and what each of them reads."""
    return dict(_siltstone.import_kinds())
