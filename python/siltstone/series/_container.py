"""A series that is loaded when it is first touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siltstone.errors import InvalidError
from siltstone.series._backends import Metadata, StorageBackend

if TYPE_CHECKING:
    import pandas as pd


class SeriesContainer:
    """A series of a backend, loaded on first touch, and forgotten when told to.

    Parameters
    ----------
    backend : StorageBackend
        Where the series is, or will be.
    key : str, optional
        Its key there.
    data : optional
        The series, if it is at hand already.
    metadata : dict, optional
        Its metadata, if they are at hand.

    Raises
    ------
    ValueError
        If neither a key nor data are given.
    """

    def __init__(
        self,
        backend: StorageBackend,
        key: str | None = None,
        data: Any = None,
        metadata: Metadata | None = None,
    ) -> None:
        if key is None and data is None:
            raise InvalidError("a series container: expected a key or data, got neither")
        #: Ours may know more than the protocol asks.
        self._backend: Any = backend
        self._key = key
        self._data = data
        self._metadata = metadata
        self._unsaved = data is not None

    def __repr__(self) -> str:
        state = "loaded" if self.is_loaded else "not loaded"
        return f"SeriesContainer(key={self._key!r}, {state})"

    def __len__(self) -> int:
        if not self.is_loaded and hasattr(self._backend, "info"):
            return int(self._backend.info(self._key).length)
        return len(self.data)

    @property
    def key(self) -> str | None:
        """The key of the series."""
        return self._key

    @property
    def is_loaded(self) -> bool:
        """Whether the points are in memory."""
        return self._data is not None

    @property
    def data(self) -> Any:
        """The series, loaded if it is not in memory."""
        if self._data is None:
            data, metadata = self._backend.load(self._key)
            self._data = data
            if self._metadata is None:
                self._metadata = metadata
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data, self._unsaved = value, True

    @property
    def metadata(self) -> Metadata:
        """The metadata; the points are not loaded for them."""
        if self._metadata is None:
            if self._key is None or not self._backend.exists(self._key):
                return {}
            known = getattr(self._backend, "metadata", None)
            self._metadata = known(self._key) if known else self._backend.load(self._key)[1]
        return self._metadata

    @property
    def range(self) -> tuple[Any, Any]:
        """The least and the greatest value of the index; both None for an empty series."""
        if not self.is_loaded and hasattr(self._backend, "info"):
            info = self._backend.info(self._key)
            return info.first, info.last
        index = self.to_pandas().index
        return (index.min(), index.max()) if len(index) else (None, None)

    def materialize(self) -> None:
        """Load the points if they are not in memory."""
        _ = self.data

    def save(self, metadata: Metadata | None = None, key: str | None = None) -> None:
        """Save the series, if it is in memory, under its key or another one.

        Raises
        ------
        ValueError
            If it has no key.
        """
        key = self._key if key is None else key
        if key is None:
            raise InvalidError("a series container: expected a key to save under, got none")
        if self._data is None and key == self._key and metadata is None:
            return  # nothing was changed
        metadata = self.metadata if metadata is None else metadata
        self._backend.save(self.data, key, metadata)
        self._key, self._metadata, self._unsaved = key, metadata, False

    def unload(self, discard: bool = False) -> None:
        """Forget the points; they are loaded again when they are touched.

        Raises
        ------
        ValueError
            If that would lose points that were not saved, unless `discard` is true.
        """
        if self._unsaved and not discard:
            raise InvalidError(
                f"the series {self._key!r}: expected saved points, got unsaved ones; save them first, or "
                "unload(discard=True)"
            )
        if self._key is None:
            raise InvalidError("a series container: expected a key to load from again, got none")
        self._data, self._unsaved = None, False

    def to_pandas(self) -> pd.Series:
        """The series as pandas holds it."""
        series: pd.Series = self._backend.to_pandas(self.data)
        return series
