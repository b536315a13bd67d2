"""The states of a simulation for ``xarray.open_dataset(path, engine="siltstone")``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from siltstone._open import Handle, open
from siltstone.errors import InvalidError, NotFoundError, SiltstoneError


class SiltstoneBackend(BackendEntrypoint):  # type: ignore[misc]
    """States of an entity group over ``timestamp`` and ``id``; what is read of the file is what is asked for.

    Parameters of ``open_dataset``
    ------------------------------
    filename_or_obj : path
        A file, ours or one of movici.
    group : str, optional
        ``"DATASET/GROUP"``: only a file that has one group needs none.
    drop_variables : str or list of str, optional
        Attributes to leave out.

    Notes
    -----
    Variables are as those of ``Table.to_xarray``, but texts are objects, and an attribute that has no value for
    undefined (integers, booleans, texts) always has the variable ``NAME_undefined``. ``open_datatree`` has all groups.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import siltstone
    >>> import xarray
    >>> path = os.path.join(tempfile.mkdtemp(), "run.db")
    >>> with siltstone.open(path) as db:
    ...     for t in range(3):
    ...         update = {"id": {"data": np.arange(2)}, "speed": {"data": np.array([t, t + 0.5])}}
    ...         _ = db.simulation.store_update(t, 0, "net", {"roads": update})
    >>> with xarray.open_dataset(path, engine="siltstone", group="net/roads") as states:
    ...     states["speed"].sel(id=1).values.tolist()
    [0.5, 1.5, 2.5]
    """

    description = "States of simulations in Siltstone files"
    open_dataset_parameters = ("filename_or_obj", "group", "drop_variables")
    supports_groups = True

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        group: str | None = None,
        drop_variables: str | Iterable[str] | None = None,
        **decoders: Any,
    ) -> xr.Dataset:
        """The states of a group."""
        db = open(_path(filename_or_obj), read_only=True)
        try:
            states = _States(db, *_chosen(db, group))
            return states.dataset(drop_variables)
        except BaseException:
            db.close()
            raise

    def open_groups_as_dict(self, filename_or_obj: Any, **options: Any) -> dict[str, xr.Dataset]:
        """The states of each group, by ``"/DATASET/GROUP"``."""
        with open(_path(filename_or_obj), read_only=True) as db:
            groups = _groups(db)
        return {f"/{name}": self.open_dataset(filename_or_obj, group=name, **options) for name in groups}

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> Any:
        """All groups as a tree."""
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **options))

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is a file that has updates of a simulation."""
        # Not by its first bytes: to close a file that one has read drops the locks that SQLite has on it here.
        try:
            path = Path(os.fspath(filename_or_obj))
            if not path.is_file():
                return False
            with open(path, read_only=True) as db:
                return bool(_groups(db))
        except (TypeError, OSError, SiltstoneError):
            return False


def _path(filename_or_obj: Any) -> str:
    if not isinstance(filename_or_obj, (str, os.PathLike)):
        raise InvalidError(f"filename_or_obj: expected the path of a file, got {filename_or_obj!r}")
    return os.fspath(filename_or_obj)


def _groups(db: Handle) -> dict[str, tuple[str, str]]:
    """Datasets and groups by their name."""
    of = db.simulation
    pairs = [(dataset, group) for dataset in of.get_datasets() for group in of.get_groups(dataset)]
    return {"/".join(pair): pair for pair in pairs}


def _chosen(db: Handle, group: str | None) -> tuple[str, str]:
    groups = _groups(db)
    if not groups:
        raise NotFoundError(f"{db.path} has no updates of a simulation; series and runs have to_xarray() of their own")
    if group is None and len(groups) == 1:
        return next(iter(groups.values()))
    name = "" if group is None else group.strip("/")
    if name not in groups:
        raise InvalidError(f"group: expected one of {', '.join(sorted(groups))}, got {group!r}")
    return groups[name]


class _States:
    """Reads states of a group; the last that were read are kept, since each variable asks for them."""

    def __init__(self, db: Handle, dataset: str, group: str) -> None:
        self._db, self._of = db, (dataset, group)
        self._path = os.fspath(db.path)
        self.times = np.asarray(db.simulation.get_timestamps(dataset), dtype=np.int64)
        self.read = lru_cache(maxsize=1)(self._read)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def __reduce__(self) -> Any:
        # Another process opens the file for itself.
        return _reopened, (self._path, *self._of)

    def _read(self, times: tuple[int, ...]) -> xr.Dataset:
        return self._db.simulation.states_table(*self._of, times).to_xarray()

    def dataset(self, drop_variables: str | Iterable[str] | None) -> xr.Dataset:
        first = self._read((int(self.times[0]),))
        left_out = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        n = len(self.times)
        variables: dict[str, Any] = {}
        masks = {f"{name}_undefined" for name in first}
        for name, one in first.items():
            if name in left_out or name in masks:
                continue
            dtype = np.dtype(object) if one.dtype.kind in "US" else one.dtype
            lazy = _Lazy(self, str(name), (n, *one.shape[1:]), dtype)
            variables[str(name)] = (one.dims, indexing.LazilyIndexedArray(lazy))
            undefined = f"{name}_undefined"
            if one.dtype.kind not in "fcMmO":
                lazy = _Lazy(self, undefined, (n, one.shape[1]), np.dtype(bool))
                variables[undefined] = (one.dims[:2], indexing.LazilyIndexedArray(lazy))
        coords = {"timestamp": self.times, "id": first["id"].values}
        made = xr.Dataset(variables, coords=coords, attrs=first.attrs)
        made.set_close(self.close)
        return made


def _reopened(path: str, dataset: str, group: str) -> _States:
    return _States(open(path, read_only=True), dataset, group)


class _Lazy(BackendArray):  # type: ignore[misc]
    """One variable, of which only the times are read that are asked for."""

    def __init__(self, states: _States, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._states, self._name, self.shape, self.dtype = states, name, shape, dtype

    def __getitem__(self, key: Any) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._get)

    def _get(self, key: tuple[Any, ...]) -> Any:
        at, *others = key
        times = np.atleast_1d(self._states.times[at])
        if len(times) == 0:
            values = np.empty((0, *self.shape[1:]), self.dtype)
        else:
            # States come in the order of time, each once.
            ordered, places = np.unique(times, return_inverse=True)
            found = self._states.read(tuple(ordered.tolist()))
            known = found.get(self._name)
            values = np.zeros((len(ordered), *self.shape[1:]), bool) if known is None else known.values
            values = values[places].astype(self.dtype, copy=False)
        for axis, other in enumerate(others, start=1):
            values = values[(slice(None),) * axis + (other if isinstance(other, slice) else np.atleast_1d(other),)]
        squeezed = tuple(axis for axis, one in enumerate(key) if isinstance(one, (int, np.integer)))
        return values.squeeze(axis=squeezed) if squeezed else values
