"""Tables that stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from siltstone import _geojson, _html, _siltstone, _xarray
from siltstone.errors import InvalidError


class Written(NamedTuple):
    """A table file that was written: its rows and its size in bytes."""

    rows: int
    bytes: int


def _nullable() -> dict[Any, Any]:
    """The types of pandas that have integers and missing ones."""
    import pandas as pd
    import pyarrow as pa

    return {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


class Table:
    """A table that streams, batch by batch, to whatever takes the Arrow C stream interface.

    ``pyarrow.table(table)``, ``polars.DataFrame(table)``, ``pandas.DataFrame.from_arrow(table)`` and
    DuckDB take it as it is. It may be streamed any number of times; each time it is read from the
    file again.
    """

    def __init__(self, inner: _siltstone.Table, name: str, times: Callable[[], int] = lambda: 0) -> None:
        self._inner = inner
        self._name = name
        self._times = times

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._inner.columns()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._inner.__arrow_c_stream__(requested_schema)

    def batches(self) -> Iterator[Any]:
        """One PyArrow record batch after another: only one is in memory at a time."""
        import pyarrow as pa

        return iter(pa.RecordBatchReader.from_stream(self))

    def to_arrow(self) -> Any:
        """The table as a PyArrow table."""
        import pyarrow as pa

        return pa.table(self)

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame; needs pyarrow.

        A column of integers with missing ones is of floats, as pandas has it, unless that would round: then it has
        pandas' nullable type.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self.to_arrow()
        frame = table.to_pandas()
        for i, column in enumerate(table.columns):
            if pa.types.is_integer(column.type) and 0 < column.null_count < len(column):
                ends = pc.min_max(column).as_py()
                if max(abs(ends["min"]), abs(ends["max"])) > 2**53:
                    frame.isetitem(i, column.to_pandas(types_mapper=_nullable().get))
        return frame

    def to_polars(self) -> Any:
        """The table as a Polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self)

    def to_xarray(self) -> Any:
        """The table as an xarray Dataset; needs pyarrow.

        States are over the dimensions ``timestamp`` and ``id``, any other table over ``row``.
        Further dimensions are named ``<column>_1``, ``<column>_2``, ... A ragged attribute is an
        array of objects, one array each. Undefined is NaN in floats, NaT in times and None in place
        of a ragged value; other columns with undefined rows have a variable
        ``<column>_undefined``.

        The table is read batch by batch, and states are filled in as they come. Of another table one
        column is in memory twice at a time.
        """
        import pyarrow as pa

        return _xarray.dataset(pa.RecordBatchReader.from_stream(self), self._times())

    def _repr_html_(self) -> str:
        """The first rows: only these are read."""
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_stream(self)
        rows = chain.from_iterable(zip(*(c.to_pylist() for c in b.slice(0, 11).columns), strict=True) for b in reader)
        first = list(islice(rows, _html.MOST_ROWS + 1))
        return _html.table(self._name, reader.schema.names, first, None)

    def write(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        overwrite: bool = False,
        escape_formulas: bool = False,
    ) -> Written:
        """Write the table to a file, which appears when it is whole.

        Parameters
        ----------
        path : path
            The file.
        format : {"parquet", "arrow", "csv", "jsonl"}, optional
            What the file's ending says, unless given.
        overwrite : bool
            Whether a file of that name may be replaced.
        escape_formulas : bool
            In CSV, puts a ``'`` before texts that a spreadsheet would run as formulas (``=``, ``+``, ``-``, ``@``).
            They do not come back as they were; numbers do.
        """
        return Written(*self._inner.write(path, format, overwrite, escape_formulas))

    def write_geojson(
        self,
        path: str | os.PathLike[str],
        *,
        crs: str | None,
        point: tuple[str, ...] | None = None,
        line: str | None = None,
        polygon: str | None = None,
        overwrite: bool = False,
    ) -> Written:
        """Write the rows as features of a GeoJSON file, which appears when it is whole; needs pyarrow.

        Every other column is a property. A row whose coordinates are missing is a feature without a geometry.

        Parameters
        ----------
        path : path
            The file.
        crs : str or None
            What the coordinates are, which is not guessed: ``"OGC:CRS84"`` or ``"EPSG:4326"`` for degrees of longitude
            and latitude, in this order, which RFC 7946 asks for. Any other ``"EPSG:..."`` is written into the member
            ``crs``, which GDAL, QGIS and GeoPandas follow, and readers of the RFC alone do not; None: not known.
        point : tuple of str
            The columns of x (longitude) and y (latitude), and z if there is one.
        line, polygon : str
            The column that has the positions of a line, or of the ring around a polygon, in its rows.
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        InvalidError
            For coordinates that are no degrees, if they should be, and for a column that is not there. There is no new
            file.

        Examples
        --------
        >>> import os, tempfile
        >>> import siltstone
        >>> folder = tempfile.mkdtemp()
        >>> with siltstone.open(os.path.join(folder, "run.db")) as db:
        ...     tram = {"id": {"data": [1]}, "lon": {"data": [4.9]}, "lat": {"data": [52.4]}, "speed": {"data": [7.5]}}
        ...     _ = db.simulation.store_update(0, 0, "net", {"trams": tram})
        ...     states = db.simulation.states_table("net", "trams")
        ...     states.write_geojson(os.path.join(folder, "trams.geojson"), point=("lon", "lat"), crs="OGC:CRS84").rows
        1
        """
        given = {"Point": point, "LineString": line, "Polygon": polygon}
        (kind, columns), *others = [(k, c) for k, c in given.items() if c is not None] or [("", ())]
        if not columns or others or (kind == "Point") != (not isinstance(columns, str)):
            raise InvalidError("the geometry: expected one of point=(X, Y), line=COLUMN and polygon=COLUMN")
        named = [columns] if isinstance(columns, str) else list(columns)
        if kind == "Point" and not (len(named) in (2, 3) and len(set(named)) == len(named)):
            raise InvalidError(f"point: expected two columns, or three with z, got {point!r}")
        rows = _geojson.write(Path(path), self.batches(), kind, named, crs, overwrite)
        return Written(rows, os.path.getsize(path))

    def __repr__(self) -> str:
        return f"Table({self._name}: {', '.join(self.columns)})"
