"""Backends: they keep series by key."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from siltstone import _reports, _siltstone
from siltstone._query import QueryResult
from siltstone._table import Table
from siltstone.errors import InvalidTypeError
from siltstone.series import _convert, _metadata, _polars
from siltstone.series._range import bounds

if TYPE_CHECKING:
    import pandas as pd

#: What a backend keeps of a series beside its points.
Metadata = dict[str, Any]


@runtime_checkable
class StorageBackend(Protocol):
    """What a backend must do; a class of your own needs no base class."""

    def save(self, data: Any, key: str, metadata: Metadata) -> None:
        """Keep a series and its metadata in place of what has this key."""

    def load(self, key: str) -> tuple[Any, Metadata]:
        """The series and its metadata; :class:`KeyError` if there is none of that key."""

    def delete(self, key: str) -> None:
        """Remove a series; :class:`KeyError` if there is none of that key."""

    def exists(self, key: str) -> bool:
        """Whether there is a series of that key."""

    def list_keys(self) -> list[str]:
        """All keys."""

    def to_pandas(self, data: Any) -> pd.Series:
        """What :meth:`load` gives, as a pandas Series."""

    def from_pandas(self, series: pd.Series) -> Any:
        """A pandas Series as what :meth:`save` takes."""


class SeriesInfo(NamedTuple):
    """What is known of a series without loading it.

    ``first`` and ``last`` are the least and the greatest value of the index; times and time spans are numpy
    scalars (of UTC). They are None for an empty series.
    """

    key: str
    length: int
    index_type: str
    value_type: str
    first: Any
    last: Any
    is_sorted: bool
    name: str | None
    dtype: str | None
    index: dict[str, Any]  # type: ignore[assignment]  # a documented name; a tuple's method has it too
    metadata: Metadata


class Backend:
    """Series by key: in memory, in a folder of Parquet files, in an SQLite file, in a PostgreSQL server.

    A key is any text: it is data and never a path. Values, index and metadata come back equal, by bits; the
    metadata that you hand in are not changed. What cannot come back equal is refused by :meth:`save`.

    Parameters
    ----------
    url : str
        ``memory:``, ``parquet:DIR``, ``sqlite:FILE`` (SQLAlchemy's ``sqlite:///FILE`` too), or
        ``postgresql://USER@HOST/DATABASE``. The password is taken from ``PGPASSWORD`` or ``~/.pgpass``, as libpq does;
        one in the address (``USER:PASSWORD@``) is used, and neither shown, kept nor pickled.

    Examples
    --------
    >>> import pandas as pd
    >>> from siltstone.series import Backend
    >>> backend = Backend("memory:")
    >>> backend.save(pd.Series([20.5, 21.0], name="temperature"), "plant/line#1", {"unit": "C"})
    >>> series, metadata = backend.load("plant/line#1")
    >>> metadata
    {'unit': 'C'}
    """

    def __init__(self, url: str) -> None:
        scheme, _, path = url.partition(":")
        path = path.removeprefix("///")
        if scheme == "sqlite" and path not in ("", "//", ":memory:"):
            self._inner = _siltstone.SeriesStore.open_file(path)
        else:
            self._inner = _siltstone.SeriesStore.open(url)
        self._url = _siltstone.series_without_password(url)

    @classmethod
    def _over(cls, inner: _siltstone.SeriesStore, url: str) -> Backend:
        """Over a store that is open."""
        backend = cls.__new__(cls)
        backend._inner, backend._url = inner, url
        return backend

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner.location()!r})"

    def __reduce__(self) -> Any:
        # Another process opens the same store; the password of a server it takes from its own environment or file.
        if self.get_backend_type() == "memory":
            raise InvalidTypeError("pickle: expected a backend that another process can open, got one in memory")
        return _open_again, (type(self), self._url, self.__dict__.get("base_path"))

    def __len__(self) -> int:
        return len(self.list_keys())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.exists(key)

    def get_backend_type(self) -> str:
        """``memory``, ``parquet``, ``sqlite`` or ``postgresql``."""
        return self._inner.backend_type()

    # meteaudata's calls

    def save(self, data: Any, key: str, metadata: Metadata | None = None) -> None:
        """Keep a series and its metadata in place of what has this key, both or neither.

        Parameters
        ----------
        data : pandas.Series
            Numbers, booleans, texts, bytes, times, time spans or categories, at an index of times, time spans,
            numbers or texts. Missing values stay missing, NaN stays NaN.
        key : str
            Any text.
        metadata : dict, optional
            What JSON holds, and tuples, bytes, dates, times, time spans, complex numbers, numpy arrays and scalars.

        Raises
        ------
        siltstone.errors.InvalidError
            For a series or metadata that could not come back equal. What was kept stays.
        """
        self._inner.save(key, self._parts(data), _metadata.encode(metadata or {}))

    def load(self, key: str) -> tuple[Any, Metadata]:
        """The series and its metadata.

        Raises
        ------
        KeyError
            If there is no series of that key (:class:`siltstone.errors.NotFoundError`).
        """
        parts, metadata = self._inner.load(key)
        return self._series(parts), _metadata.decode(metadata)

    def delete(self, key: str) -> None:
        """Remove a series; :class:`KeyError` if there is none of that key."""
        self._inner.delete(key)

    def exists(self, key: str) -> bool:
        """Whether there is a series of that key."""
        return self._inner.exists(key)

    def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        return self._inner.list_keys(prefix)

    def to_pandas(self, data: Any) -> pd.Series:
        """What :meth:`load` gives, as a pandas Series."""
        import pandas as pd

        if not isinstance(data, pd.Series):
            raise InvalidTypeError(f"the data: expected a pandas Series, got {type(data).__name__}")
        return data

    def from_pandas(self, series: pd.Series) -> Any:
        """A pandas Series as what :meth:`save` takes."""
        return series

    def clear(self) -> None:
        """Remove every series and record of this backend, and nothing else."""
        self._inner.clear()

    # Beyond them

    def append(self, key: str, data: Any, overlap: str = "refuse") -> int:
        """Put points behind those of a series, which begins with them if it is not there; how many.

        Parameters
        ----------
        key : str
            The key of the series.
        data : Series
            The points.
        overlap : {"refuse", "skip", "replace", "keep"}
            How to treat points that are not later than the last stored one, as ``--overlap`` of ``silt series import``:
            refuse all of them; skip those; replace the stored points from the first new one to the last; or keep
            both, for an index that need not rise.

        Points of another type are converted where every value stays equal (whole numbers to floats, times of
        microseconds to nanoseconds). Else the series gets a type that holds both. A ``UserWarning`` tells that, and of
        points that ``"skip"`` leaves out although the series has another value there.

        Raises
        ------
        siltstone.errors.InvalidError
            If no type holds the points and those of the series without loss, or points are not later than the last
            stored one. Nothing is changed.
        """
        return self._inner.append(key, self._parts(data), overlap)

    def load_range(self, key: str, start: Any = None, end: Any = None, closed: str = "both") -> Any:
        """The points whose index lies between `start` and `end`, in their order.

        Parameters
        ----------
        start, end : optional
            Values of the index: for times a text, a datetime, a :class:`pandas.Timestamp` or a
            :class:`numpy.datetime64`; without a time zone they are in that of the index. A text names all that
            begins with it, as in :func:`subset` and the ``.loc`` of pandas: ``"2013-01"`` is the whole January.
            Of a local hour that comes twice it is the first.
        closed : {"both", "left", "right", "neither"}
            Which ends belong to the range.
        """
        low, high = bounds(self._inner.info(key), start, end, closed)
        return self._series(self._inner.load_range(key, low, high))

    def scan(self, key: str, start: Any = None, end: Any = None, closed: str = "both") -> Table:
        """The same points as a table that streams Arrow batches, for series larger than memory."""
        low, high = bounds(self._inner.info(key), start, end, closed)
        return Table(self._inner.scan(key, low, high), f"series {key!r}")

    def info(self, key: str) -> SeriesInfo:
        """What is known of a series without loading it."""
        length, index_type, value_type, extent, is_sorted, name, dtype, index, metadata = self._inner.info(key)
        first, last = (None, None) if extent is None else (_scalar(index_type, x) for x in extent)
        return SeriesInfo(
            key,
            length,
            index_type,
            value_type,
            first,
            last,
            is_sorted,
            name,
            dtype,
            json.loads(index),
            _metadata.decode(metadata),
        )

    def checksum(self, key: str) -> tuple[int, str]:
        """The number of points, and a hash of all that the series is: the same in every backend."""
        return self._inner.checksum(key)

    def metadata(self, key: str) -> Metadata:
        """The metadata of a series, without its points."""
        return self.info(key).metadata

    def set_metadata(self, key: str, metadata: Metadata) -> None:
        """Other metadata for a series that stays as it is."""
        self._inner.set_metadata(key, _metadata.encode(metadata))

    def save_many(
        self,
        series: Mapping[str, Any] | Iterable[tuple[str, Any, Metadata]],
    ) -> None:
        """Keep several series in one commit: all of them or none.

        Parameters
        ----------
        series : mapping of key to series, or iterable of (key, series, metadata)
        """
        items = [(k, s, {}) for k, s in series.items()] if isinstance(series, Mapping) else series
        packed = [(k, self._parts(s), _metadata.encode(m or {})) for k, s, m in items]
        self._inner.save_many(packed)

    def load_many(self, keys: Iterable[str]) -> dict[str, tuple[Any, Metadata]]:
        """Several series and their metadata, by key."""
        if isinstance(keys, str):
            raise InvalidTypeError(f"the keys: expected several, got one text, {keys!r}")
        keys = list(keys)
        loaded = self._inner.load_many(keys)
        return {
            key: (self._series(parts), _metadata.decode(metadata))
            for key, (parts, metadata) in zip(keys, loaded, strict=True)
        }

    def rename(self, key: str, to: str) -> None:
        """Give a series another key, which must not be in use."""
        self._inner.rename(key, to)

    def copy(self, key: str, to: str) -> None:
        """Keep a series once more, under a key that must not be in use."""
        self._inner.copy(key, to)

    def compact(self, key: str | None = None) -> _reports.CompactReport:
        """Pack one series, or all, at the highest compression: points, blocks, bytes of the file before and after.

        Only an SQLite file has something to pack; elsewhere all are 0.
        """
        return _reports.CompactReport(*(self._inner.compact(key) or (0, 0, 0, 0)))

    def vacuum(self) -> int:
        """Give the room of what was removed or compacted back to the file system; the bytes. Only a file has some."""
        return self._inner.vacuum() or 0

    def verify(self) -> _reports.VerifyReport:
        """Check what is stored against the checksums that it was stored with; a backend without any reads all of it.

        A folder of Parquet files has the hash of each file: ``checksums`` counts them, ``without_checksum`` the files
        that a version without hashes wrote.
        """
        return _reports.make(_reports.VerifyReport, self._inner.verify())

    def sql(self, query: str) -> QueryResult:
        """Run one SQL statement on a snapshot of an SQLite file; the connection can only read.

        Parameters
        ----------
        query : str
            It may use the documented tables ``time_series_data(key, index_value, value)`` and
            ``time_series_metadata(key, metadata_json)``.

        Raises
        ------
        InvalidError
            For a backend that is no SQLite file.
        """
        return QueryResult(self._inner.sql(query), self._inner.sql_table(query))

    def _parts(self, data: Any) -> _convert.Parts:
        return _convert.from_pandas(data)

    def _series(self, parts: _convert.Parts) -> Any:
        return _convert.to_pandas(parts)


def _scalar(index_type: str, value: Any) -> Any:
    import numpy as np

    head, _, rest = index_type.partition(":")
    unit: Any = rest.partition(":")[0]
    if head == "timestamp":
        return np.datetime64(value, unit)
    return np.timedelta64(value, unit) if head == "duration" else value


class PandasInMemoryAdapter(Backend):
    """Series in memory, gone with the process."""

    def __init__(self) -> None:
        super().__init__("memory:")


class PandasOnDiskAdapter(Backend):
    """Series in a folder of Parquet files, whole after a crash.

    Parameters
    ----------
    base_path : path, optional
        The folder, made if it is not there; files of others in it are left alone. A new temporary folder if
        it is None.
    """

    def __init__(self, base_path: str | PathLike[str] | None = None) -> None:
        if base_path is None:
            base_path = tempfile.mkdtemp(prefix="siltstone-series-")
        self.base_path = fspath(base_path)
        super().__init__(f"parquet:{self.base_path}")


class PolarsAdapter(PandasOnDiskAdapter):
    """Series in a folder of Parquet files, as Polars holds them.

    It takes a :class:`polars.Series`, whose index is its row number, or a :class:`pandas.Series`, whose index is
    kept: :meth:`load_frame` gives both columns, and :meth:`load` the values alone, as in meteaudata.
    """

    def load_frame(self, key: str) -> Any:
        """Index and values as a Polars DataFrame of two columns."""
        import polars as pl

        return pl.DataFrame(self.scan(key))

    def load_pandas(self, key: str) -> tuple[pd.Series, Metadata]:
        """The series with its index, as pandas holds it, and its metadata."""
        parts, metadata = self._inner.load(key)
        return _convert.to_pandas(parts), _metadata.decode(metadata)

    def to_pandas(self, data: Any) -> pd.Series:
        """A Polars Series as a pandas Series; the index is its row number."""
        import pandas as pd

        return data if isinstance(data, pd.Series) else _convert.to_pandas(self._parts(data))

    def from_pandas(self, series: pd.Series) -> Any:
        """The values of a pandas Series as a Polars Series."""
        return self._series(_convert.from_pandas(series))

    def _parts(self, data: Any) -> _convert.Parts:
        import pandas as pd

        if isinstance(data, pd.Series):
            return super()._parts(data)
        import polars as pl

        if not isinstance(data, pl.Series):
            kind = type(data).__name__
            raise InvalidTypeError(f"the data: expected a Polars or pandas Series, got {kind}")
        return _polars.from_polars(data)

    def _series(self, parts: _convert.Parts) -> Any:
        return _polars.to_polars(parts)


class SQLDatabaseAdapter(Backend):
    """Series in a database.

    Parameters
    ----------
    connection_string : str, optional
        ``sqlite:FILE``, or ``sqlite:///FILE`` and ``postgresql+DRIVER://...`` as SQLAlchemy writes them. A new
        temporary file if it is None.
    """

    def __init__(self, connection_string: str | None = None) -> None:
        if connection_string is None:
            folder = tempfile.mkdtemp(prefix="siltstone-series-")
            connection_string = f"sqlite:{folder}/series.db"
        super().__init__(connection_string)


def _open_again(kind: type[Backend], url: str, base_path: str | None) -> Backend:
    made = kind.__new__(kind)
    Backend.__init__(made, url)
    if base_path is not None:
        made.base_path = base_path  # type: ignore[attr-defined]
    return made


#: The names that the running system has.
PandasMemoryAdapter = PandasInMemoryAdapter
PandasDiskAdapter = PandasOnDiskAdapter
SQLAdapter = SQLDatabaseAdapter
SQLiteAdapter = SQLDatabaseAdapter


def open(url: str) -> Backend:
    """The backend of an address: ``memory:``, ``parquet:DIR``, ``sqlite:FILE`` or ``postgresql://...``."""
    return Backend(url)


def transfer(
    source: Backend,
    target: Backend,
    prefix: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Copy series, and the datasets they belong to, from one backend into another.

    Each series is written, read back, compared by count and checksum, and only then gets its key. What the target
    has already, equal in everything, is passed over: call it again to go on after an interruption.

    Parameters
    ----------
    source, target : Backend
        From where to where.
    prefix : str
        Only series whose keys begin so.
    overwrite : bool
        Whether a series of that key at the target that is another one is replaced, or stays.
    progress : callable, optional
        Called with ``(done, all)`` points; what it raises ends the copy.

    Returns
    -------
    dict
        ``series``, ``points``, ``unchanged``, ``records``, ``conflicts``, ``first_conflicts``.

    Examples
    --------
    >>> import pandas as pd
    >>> from siltstone import series
    >>> here, there = series.open("memory:"), series.open("memory:")
    >>> here.save(pd.Series([1.0, 2.0]), "a")
    >>> series.transfer(here, there)["points"]
    2
    """
    return _siltstone.series_transfer(source._inner, target._inner, prefix, overwrite, progress)
