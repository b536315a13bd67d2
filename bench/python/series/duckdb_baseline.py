"""DuckDB: one table of key, time and value; rows in and out as Arrow or numpy."""

import duckdb
import pandas as pd
from baseline import Baseline


class Duckdb(Baseline):
    survives = "disk"

    def __init__(self, folder):
        self.db = duckdb.connect(str(folder / "series.duckdb"))
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS points (key VARCHAR, time TIMESTAMP_NS, value DOUBLE)"
        )

    def _insert(self, frame):
        self.db.register("frame", frame)
        self.db.execute("INSERT INTO points SELECT key, time, value FROM frame")
        self.db.unregister("frame")

    @staticmethod
    def _frame(key, series):
        return pd.DataFrame({"key": key, "time": series.index, "value": series.to_numpy()})

    def _series(self, where, values):
        sql = f"SELECT time, value FROM points WHERE {where} ORDER BY time"
        got = self.db.execute(sql, values).fetchnumpy()
        return pd.Series(got["value"], pd.DatetimeIndex(got["time"]))

    def save(self, key, series):
        self.db.execute("BEGIN")
        self.db.execute("DELETE FROM points WHERE key = ?", [key])
        self._insert(self._frame(key, series))
        self.db.execute("COMMIT")

    def load(self, key):
        return self._series("key = ?", [key])

    def range(self, key, start, end):
        return self._series("key = ? AND time BETWEEN ? AND ?", [key, start, end])

    def append(self, key, series):
        self._insert(self._frame(key, series))

    def save_many(self, series):
        self._insert(pd.concat([self._frame(key, one) for key, one in series.items()]))

    def load_many(self, keys):
        sql = "SELECT key, time, value FROM points WHERE key IN (SELECT unnest(?)) ORDER BY key, time"
        frame = self.db.execute(sql, [list(keys)]).df()
        return {
            key: pd.Series(part["value"].to_numpy(), pd.DatetimeIndex(part["time"]))
            for key, part in frame.groupby("key")
        }

    def keys(self):
        rows = self.db.execute("SELECT DISTINCT key FROM points ORDER BY key").fetchall()
        return [row[0] for row in rows]

    def compact(self):
        self.db.execute("CHECKPOINT")

    def close(self):
        self.db.close()
