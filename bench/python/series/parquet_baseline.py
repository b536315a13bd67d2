"""Plain Parquet by pyarrow: a file a series, row groups of 65,536."""

from urllib.parse import quote, unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from baseline import Baseline


class Parquet(Baseline):
    def __init__(self, folder):
        self.folder = folder

    def _file(self, key):
        return self.folder / f"{quote(key, safe='')}.parquet"

    def save(self, key, series):
        table = pa.table({"time": series.index, "value": series.to_numpy()})
        pq.write_table(table, self._file(key), row_group_size=65_536)

    def _series(self, key, filters=None):
        table = pq.read_table(self._file(key), filters=filters)
        times = pd.DatetimeIndex(table["time"].to_numpy())
        return pd.Series(table["value"].to_numpy(), times)

    def load(self, key):
        return self._series(key)

    def range(self, key, start, end):
        return self._series(key, [("time", ">=", start), ("time", "<=", end)])

    def keys(self):
        return sorted(unquote(file.stem) for file in self.folder.glob("*.parquet"))
