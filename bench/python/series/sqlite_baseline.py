"""Python's `sqlite3`: a row a point, at an integer key of series and instant."""

import sqlite3

import numpy as np
import pandas as pd
from baseline import Baseline

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, key TEXT UNIQUE, unit TEXT);
CREATE TABLE IF NOT EXISTS point (series INTEGER, time INTEGER, value REAL,
    PRIMARY KEY (series, time)) WITHOUT ROWID;
"""
INTO = "INSERT INTO point VALUES (?, ?, ?)"
FROM = "SELECT time, value FROM point WHERE series = (SELECT id FROM series WHERE key = ?)"


class Sqlite(Baseline):
    def __init__(self, folder):
        self.db = sqlite3.connect(folder / "points.db", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.db.execute("PRAGMA synchronous = NORMAL")

    def _points(self, key, series):
        insert = "INSERT INTO series (key, unit) VALUES (?, 'C') ON CONFLICT DO NOTHING"
        self.db.execute(insert, [key])
        (known,) = self.db.execute("SELECT id FROM series WHERE key = ?", [key]).fetchone()
        times, values = series.index.as_unit("ns").asi8.tolist(), series.tolist()
        self.db.executemany(INTO, zip([known] * len(times), times, values, strict=True))

    def save(self, key, series):
        self.save_many({key: series})

    def save_many(self, series):
        self.db.execute("BEGIN")
        for key, one in series.items():
            gone = "DELETE FROM point WHERE series = (SELECT id FROM series WHERE key = ?)"
            self.db.execute(gone, [key])
            self._points(key, one)
        self.db.execute("COMMIT")

    def append(self, key, series):
        self.db.execute("BEGIN")
        self._points(key, series)
        self.db.execute("COMMIT")

    def _series(self, sql, values):
        rows = self.db.execute(f"{sql} ORDER BY time", values).fetchall()
        times, values = zip(*rows, strict=True) if rows else ((), ())
        index = pd.DatetimeIndex(np.array(times, "i8").view("M8[ns]"))
        return pd.Series(np.array(values, "f8"), index)

    def load(self, key):
        return self._series(FROM, [key])

    def range(self, key, start, end):
        return self._series(f"{FROM} AND time BETWEEN ? AND ?", [key, start.value, end.value])

    def keys(self):
        return [row[0] for row in self.db.execute("SELECT key FROM series ORDER BY key")]

    def close(self):
        self.db.close()
