"""Backups back."""

from __future__ import annotations

import os

from siltstone import _siltstone
from siltstone._reports import BackupReport, make


def restore(source: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False) -> BackupReport:
    """Put a backup in place of `target`, verified first.

    Parameters
    ----------
    source : path
        The backup.
    target : path
        The file to write.
    overwrite : bool
        Whether an existing `target` may be replaced. Its whole content is replaced in one
        transaction, so that others who have it open see the old or the new.

    Raises
    ------
    ExistsError
        If `target` is there and `overwrite` is false.
    CorruptError
        If the backup is damaged; `target` is as it was.
    """
    return make(BackupReport, _siltstone.restore(source, target, overwrite))
