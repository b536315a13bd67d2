"""HDF5 by h5py: a group a series, times and values in chunks of 65,536."""

import h5py
import numpy as np
import pandas as pd
from baseline import Baseline

CHUNK = 65_536


class Raw(Baseline):
    survives = "-"  # a process that ends while it writes leaves a file that no longer opens
    options = {}

    def __init__(self, folder):
        self.file = h5py.File(folder / "series.h5", "a")

    def save(self, key, series):
        name = key.replace("/", "|")  # a slash makes groups
        if name in self.file:
            del self.file[name]
        group = self.file.create_group(name)
        group.attrs["unit"] = "C"
        chunk = (min(CHUNK, max(1, len(series))),)
        for part, data in (("time", series.index.as_unit("ns").asi8), ("value", series.to_numpy())):
            group.create_dataset(part, data=data, chunks=chunk, maxshape=(None,), **self.options)

    def _series(self, key, which):
        group = self.file[key.replace("/", "|")]
        times = group["time"][which].view("M8[ns]")
        return pd.Series(group["value"][which], pd.DatetimeIndex(times), copy=False)

    def load(self, key):
        return self._series(key, slice(None))

    def range(self, key, start, end):
        times = self.file[key.replace("/", "|")]["time"][:]
        first = np.searchsorted(times, start.value, "left")
        last = np.searchsorted(times, end.value, "right")
        return self._series(key, slice(first, last))

    def append(self, key, series):
        group = self.file.get(key.replace("/", "|"))
        if group is None:
            group = self.file.create_group(key.replace("/", "|"))
            for part, kind in (("time", "i8"), ("value", "f8")):
                group.create_dataset(
                    part, (0,), kind, chunks=(CHUNK,), maxshape=(None,), **self.options
                )
        start, end = len(group["time"]), len(group["time"]) + len(series)
        for part, data in (("time", series.index.as_unit("ns").asi8), ("value", series.to_numpy())):
            group[part].resize((end,))
            group[part][start:end] = data
        self.file.flush()  # as far as the file system

    def keys(self):
        return sorted(name.replace("|", "/") for name in self.file)

    def close(self):
        self.file.close()


class Gzip(Raw):
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
