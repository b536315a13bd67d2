"""What the described system wrote, into a backend, and a dataset of a backend in its layout."""

from __future__ import annotations

import json
import os
from typing import Any

from siltstone import _siltstone
from siltstone.series._backends import Backend


def import_dataset(
    path: str | os.PathLike[str],
    backend: Backend,
    name: str | None = None,
    *,
    overwrite: bool = False,
    strict: bool = False,
) -> dict[str, Any]:
    """Import what the described system wrote: a zip, a folder or an SQLite database.

    To import it once more changes nothing. No file is changed, and nothing that a file names is opened or run.

    Parameters
    ----------
    path
        The zip, folder or database.
    backend
        Where the series go.
    name
        The name of the dataset, if not its own.
    overwrite
        Replace what is there with another content.
    strict
        Keep nothing if anything cannot be read.

    Returns
    -------
    dict
        ``datasets``, the numbers ``series``, ``points`` and ``unchanged``, and what was left behind and why:
        ``conflicts``, ``left_behind``, ``notes``.
    """
    text = _siltstone.series_import(backend._inner, os.fspath(path), name, (overwrite, strict))
    report: dict[str, Any] = json.loads(text)
    return report


def export_dataset(
    backend: Backend, name: str, path: str | os.PathLike[str], *, overwrite: bool = False
) -> int:
    """Write a dataset in the layout that the described system reads: a zip if the path ends so, else a folder.

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

    Returns
    -------
    int
        The number of points.
    """
    return _siltstone.series_write_described(backend._inner, name, os.fspath(path), overwrite)
