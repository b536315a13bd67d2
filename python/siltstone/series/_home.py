"""Where a dataset is kept: a backend, ours or a user's own, as signals and datasets use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone.errors import InvalidTypeError
from siltstone.series import _convert, _metadata
from siltstone.series._backends import Backend, PolarsAdapter, SeriesInfo, StorageBackend

if TYPE_CHECKING:
    import pandas as pd

    from siltstone.series._dataset import Dataset
    from siltstone.series._signal import Signal

#: What happens, a key, a text, a series: see `SeriesStore.commit`.
Change = tuple[str, str, "str | None", "pd.Series | None"]

#: The attributes of an object, and what they become.
Kept = tuple[dict[str, Any], dict[str, Any]]


class Home:
    """A dataset's name in a backend."""

    def __init__(self, backend: Any, dataset: str) -> None:
        if not isinstance(backend, StorageBackend) or isinstance(backend, type):
            kind = type(backend).__name__
            hint = "; series.open() makes one of an address" if isinstance(backend, str) else ""
            raise InvalidTypeError(f"backend: expected a StorageBackend, got {backend!r} ({kind}){hint}")
        self.backend: Any = backend
        self.dataset = dataset

    @property
    def is_ours(self) -> bool:
        """Whether the backend commits several changes at once, and keeps records."""
        return isinstance(self.backend, Backend)

    @property
    def keeps_elsewhere(self) -> bool:
        """Whether points that are saved need not stay in memory."""
        return self.is_ours and self.backend.get_backend_type() != "memory"

    def key(self, signal: str, series: str) -> str:
        """The key of a series."""
        return _siltstone.series_key(self.dataset, signal, series)

    def commit(self, changes: list[Change], after: list[Kept], attempt: _siltstone.Undo | None) -> None:
        """Carry out all changes or none; with a backend of the user's own, one after another.

        With them objects get the attributes of `after`, and nothing is undone: in the very call that writes, so that an
        interrupt leaves what is known and what is written as one.
        """
        if self.is_ours:
            packed = [(w, k, t, None if s is None else _convert.from_pandas(s)) for w, k, t, s in changes]
            self.backend._inner.commit(packed, after, attempt)
            return
        for what, key, text, series in changes:
            if what == "delete":
                self.backend.delete(key)
            elif what == "move":
                moved, metadata = self.backend.load(key)
                self.backend.save(moved, text, metadata)
                self.backend.delete(key)
            elif what in ("describe", "new", "save"):
                assert text is not None
                points = self.backend.load(key)[0] if what == "describe" else self.backend.from_pandas(series)
                self.backend.save(points, key, _metadata.decode(text))
        for now, known in after:
            now.update(known)

    def load(self, key: str) -> pd.Series:
        """The points of a series, with their index."""
        if isinstance(self.backend, PolarsAdapter):
            return self.backend.load_pandas(key)[0]  # what it loads otherwise has no index
        series: pd.Series = self.backend.to_pandas(self.backend.load(key)[0])
        return series

    def info(self, key: str) -> SeriesInfo | None:
        """What is known of a series without its points, if the backend tells it."""
        return self.backend.info(key) if self.is_ours else None

    def series_record(self, key: str) -> dict[str, Any]:
        """What is known of a series."""
        if self.is_ours:
            return _metadata.decode(self.backend._inner.series_record(key))
        return dict(self.backend.load(key)[1])

    def record(self, signal: str | None = None) -> dict[str, Any] | None:
        """The record of the dataset, or of a signal of it."""
        if not self.is_ours:
            return None
        text = self.backend._inner.record(_siltstone.series_record_name(self.dataset, signal))
        return None if text is None else _metadata.decode(text)

    def signals(self) -> list[str]:
        """The names of the signals that have a record."""
        if not self.is_ours:
            return []
        prefix = _siltstone.series_record_name(self.dataset, "")
        names = self.backend._inner.list_records(prefix)
        return [_siltstone.series_unescape(name[len(prefix) :]) for name in names]

    def series(self) -> list[tuple[str, str, str]]:
        """Key, signal and full name of every series of the dataset."""
        prefix = _siltstone.series_key(self.dataset, "", "")[:-1]
        keys = self.backend.list_keys(prefix) if self.is_ours else self.backend.list_keys()
        found = [(key, _siltstone.series_of_key(self.dataset, key)) for key in keys]
        return [(key, *names) for key, names in found if names is not None]


def undo(*signals: Signal) -> _siltstone.Undo:
    """A ``with`` block that leaves signals as they were if it fails."""
    return _siltstone.Undo(kept(signals))


def kept(signals: Iterable[Signal]) -> list[Kept]:
    """The attributes of signals and their series, and what they are now."""
    found: list[Kept] = []
    for signal in signals:
        own = {"time_series": signal.time_series.copy(), "_removed": list(signal._removed)}
        found.append((signal.__dict__, {**signal.__dict__, **own}))
        for one in signal:
            steps = {"processing_steps": list(one.processing_steps)}
            found.append((one.__dict__, {**one.__dict__, **steps}))
    return found


def undo_of(dataset: Dataset, *signals: Signal) -> _siltstone.Undo:
    """A ``with`` block that leaves a dataset, and signals that are new to it, as they were if it fails."""
    before = {**dataset.__dict__, "signals": dict(dataset.signals)}
    return _siltstone.Undo([*kept([*dataset, *signals]), (dataset.__dict__, before)])
