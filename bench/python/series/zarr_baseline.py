"""Zarr 3: a group a series, times and values in chunks of 65,536, by its default codec (zstd)."""

import numpy as np
import pandas as pd
import zarr
from baseline import Baseline

CHUNK = 65_536


class Zarr(Baseline):
    def __init__(self, folder):
        self.root = zarr.open_group(folder / "series.zarr", mode="a", zarr_format=3)

    def save(self, key, series):
        name = key.replace("/", "|")  # a slash makes groups
        group = self.root.create_group(name, overwrite=True, attributes={"unit": "C"})
        chunks = (min(CHUNK, max(1, len(series))),)
        for part, data in (("time", series.index.as_unit("ns").asi8), ("value", series.to_numpy())):
            group.create_array(part, data=np.ascontiguousarray(data), chunks=chunks)

    def _series(self, key, which):
        group = self.root[key.replace("/", "|")]
        times = group["time"][which].view("M8[ns]")
        return pd.Series(group["value"][which], pd.DatetimeIndex(times), copy=False)

    def load(self, key):
        return self._series(key, slice(None))

    def range(self, key, start, end):
        times = self.root[key.replace("/", "|")]["time"][:]
        first = np.searchsorted(times, start.value, "left")
        last = np.searchsorted(times, end.value, "right")
        return self._series(key, slice(int(first), int(last)))

    def append(self, key, series):
        name = key.replace("/", "|")
        if name not in self.root:
            group = self.root.create_group(name)
            for part, kind in (("time", "i8"), ("value", "f8")):
                group.create_array(part, shape=(0,), dtype=kind, chunks=(CHUNK,))
        group = self.root[name]
        group["time"].append(np.ascontiguousarray(series.index.as_unit("ns").asi8))
        group["value"].append(series.to_numpy())

    def keys(self):
        return sorted(name.replace("|", "/") for name in self.root.group_keys())
