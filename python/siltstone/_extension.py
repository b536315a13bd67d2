"""The loadable SQLite extension of the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

from siltstone.errors import NotFoundError

_NAMES = {"darwin": "libsiltstone.dylib", "win32": "siltstone.dll"}


def sqlite_extension_path() -> str:
    """Return the path of the extension with which any SQLite reads compacted tables.

    ``sqlite3 run.db -cmd '.load PATH'``, ``datasette run.db --load-extension PATH``, or ``load_extension`` of a
    connection of Python's ``sqlite3``, where that may load extensions. It reads, and writes nothing.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    NotFoundError
        If this installation was built without it.
    """
    # In a folder of its own: beside the modules Python would take it for one.
    path = Path(__file__).resolve().parent / "sqlite" / _NAMES.get(sys.platform, "libsiltstone.so")
    if not path.is_file():
        raise NotFoundError(f"the SQLite extension is not in this installation: there is no {path} (make extension)")
    return str(path)
