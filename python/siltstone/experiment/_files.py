"""From file to file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from siltstone import _siltstone
from siltstone.experiment._reports import (
    ImportReport,
    MergeReport,
    import_report,
    merge_report,
)

PathLike = str | os.PathLike[str]


def merge(
    sources: Sequence[PathLike],
    target: PathLike,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> MergeReport:
    """Copy all simulations of some files into one, which is made if it is not there.

    A simulation is one transaction. One that is there already is passed over if it is equal, and else reported and left
    alone; so to merge twice is to merge once.

    Parameters
    ----------
    sources : list of path
        Files of experiments.
    target : path
        The file that gets their simulations.
    progress : callable, optional
        Gets the simulations that are done, and their number.
    """
    return merge_report(_siltstone.experiment_merge(list(sources), target, progress))


def import_agentfarm(
    sources: Sequence[PathLike],
    target: PathLike | None,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> list[ImportReport]:
    """Import databases that AgentFarm wrote; the sources are only read.

    Parameters
    ----------
    sources : list of path
        Its files, of one simulation or of many.
    target : path or None
        The file that gets their simulations, made if it is not there; None to read and count only.
    progress : callable, optional
        Gets files done and in all; what it raises stops the import.

    Returns
    -------
    list of ImportReport
        One a file.
    """
    found = json.loads(_siltstone.experiment_import(list(sources), target, progress))
    return [import_report(report) for report in found]
