"""Series as xarray variables that NetCDF can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from siltstone.errors import InvalidError

if TYPE_CHECKING:
    import pandas as pd


def variable_name(name: str) -> str:
    """The name of a variable: NetCDF takes ``/`` for a path, so it and ``%`` are escaped."""
    return name.replace("%", "%25").replace("/", "%2F")


def dataset(series: Iterable[tuple[pd.Series, str | None]], attrs: dict[str, str]) -> Any:
    """Series with their units as an xarray Dataset, joined along their index.

    Times with a zone become times of UTC; the attribute ``time_zone`` names it.
    """
    import pandas as pd
    import xarray as xr

    arrays, zoned = {}, {}
    for one, units in series:
        index, zone = _in_utc(one.index)
        if isinstance(index, pd.DatetimeIndex):
            zoned[one.name] = zone is not None
        values, zone_of_values = _values(one)
        name = variable_name(str(one.name))
        long_name = str(one.name) if name != one.name else None
        known = {"long_name": long_name, "units": units, "time_zone": zone or zone_of_values}
        if values.dtype.kind in "mM":
            known["units"] = None  # NetCDF has its own for times
        known = {key: text for key, text in known.items() if text is not None}
        made = pd.Series(values, index.rename("index"))
        if made.index.has_duplicates:
            raise InvalidError(f"to_xarray: expected each value of the index once, got {one.name!r} with one twice")
        arrays[name] = xr.DataArray.from_series(made).assign_attrs(known)
    if len(set(zoned.values())) > 1:
        names = ", ".join(sorted(str(name) for name, is_zoned in zoned.items() if not is_zoned))
        raise InvalidError(f"to_xarray: expected times that all have a zone, or none, got none of {names}")
    return xr.Dataset(arrays, attrs=attrs)


def _in_utc(index: pd.Index) -> tuple[pd.Index, str | None]:
    import pandas as pd

    zone = getattr(index, "tz", None)
    if isinstance(index, pd.DatetimeIndex) and zone is not None:
        return index.tz_convert("UTC").tz_localize(None), str(zone)
    if isinstance(index, pd.PeriodIndex):
        return index.to_timestamp(), None
    if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) or index.dtype.kind in "iuf":
        return index, None
    return pd.Index(index.astype(str).to_numpy(object), dtype=object), None


def _values(series: pd.Series) -> tuple[np.ndarray[Any, Any], str | None]:
    """Values of a dtype that NetCDF knows; a missing integer or boolean makes floats of all, with NaN."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), str(dtype.tz)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return series.to_numpy(), None
    plain = getattr(dtype, "numpy_dtype", None)
    if isinstance(plain, np.dtype) and plain.kind in "biuf":
        if series.isna().any():
            return series.to_numpy("float64", na_value=np.nan), None
        return series.to_numpy(plain), None
    missing = series.isna().to_numpy()
    texts = np.array([str(item) for item in series.astype(object)], dtype=object)
    texts[missing] = ""
    return texts, None
