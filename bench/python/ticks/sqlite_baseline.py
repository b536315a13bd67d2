"""Python's `sqlite3` with the RTX engine's table and its three indexes, one file a day."""

import sqlite3

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS ticks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, symbol VARCHAR(20) NOT NULL, timestamp INTEGER NOT NULL,
    bid REAL NOT NULL, ask REAL NOT NULL, spread REAL NOT NULL, lp_source VARCHAR(50),
    created_at INTEGER DEFAULT (strftime('%s', 'now') * 1000));
CREATE INDEX IF NOT EXISTS idx_ticks_symbol_timestamp ON ticks(symbol, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_ticks_timestamp ON ticks(timestamp DESC);
CREATE UNIQUE INDEX IF NOT EXISTS idx_ticks_unique ON ticks(symbol, timestamp);
"""
INSERT = """INSERT OR IGNORE INTO ticks (symbol, timestamp, bid, ask, spread, lp_source)
VALUES (?, ?, ?, ?, ?, ?)"""
RANGE = """SELECT timestamp, bid, ask, spread, lp_source FROM ticks
WHERE symbol = ? AND timestamp BETWEEN ? AND ? ORDER BY timestamp"""
LAST = """SELECT timestamp, bid, ask, spread, lp_source FROM ticks
WHERE symbol = ? ORDER BY timestamp DESC LIMIT ?"""
BARS = """
WITH b AS (SELECT symbol, timestamp / 60000 AS m, max((bid + ask) / 2.0) AS h,
                  min((bid + ask) / 2.0) AS l, count(*) AS n, min(timestamp) AS f, max(timestamp) AS t
           FROM ticks GROUP BY symbol, m)
SELECT b.m, (x.bid + x.ask) / 2.0, b.h, b.l, (y.bid + y.ask) / 2.0, b.n FROM b
JOIN ticks x ON x.symbol = b.symbol AND x.timestamp = b.f
JOIN ticks y ON y.symbol = b.symbol AND y.timestamp = b.t
"""
DAY_MS = 86_400_000


class Sqlite:
    unfair = ""

    def __init__(self, folder, data):
        self.folder, self.data, self.open = folder, data, {}

    def _day(self, ms):
        day = ms // DAY_MS
        if day not in self.open:
            db = sqlite3.connect(self.folder / f"ticks_{day}.db", isolation_level=None)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -64000")
            db.executescript(SCHEMA)
            self.open[day] = db
        return self.open[day]

    def _write(self, rows):
        ms = (rows.time_ns // 1_000_000).tolist()
        symbols, lp = self.data.symbols, self.data.lp
        columns = rows.symbol.tolist(), ms, rows.bid.tolist(), rows.ask.tolist()
        db = self._day(ms[0])
        db.execute("BEGIN IMMEDIATE")
        db.executemany(INSERT, ((symbols[s], t, b, a, a - b, lp) for s, t, b, a in zip(*columns)))
        db.execute("COMMIT")

    def ingest(self, batches):
        for batch in batches:
            self._write(batch)

    def bulk(self, rows):
        for first in range(0, len(rows.bid), 5_000):
            self._write(rows.part(first, first + 5_000))

    def _columns(self, rows):
        # Tuples, as `sqlite3` gives them; columns only for the comparison, outside the time.
        return lambda: ([row[0] * 1_000_000 for row in rows], *zip(*[row[1:3] for row in rows]))

    def last(self, symbol, n):
        ms = self.data.rows.time_ns[-1] // 1_000_000
        return self._columns(self._day(int(ms)).execute(LAST, (symbol, n)).fetchall())

    def range(self, symbol, from_ns, to_ns):
        span = from_ns // 1_000_000, to_ns // 1_000_000
        return self._columns(self._day(span[0]).execute(RANGE, (symbol, *span)).fetchall())

    def bars(self):
        rows = []
        for day in range(self.data.days):
            first = self.data.first_ns // 1_000_000 + day * DAY_MS
            rows += self._day(first).execute(BARS).fetchall()
        return lambda: ([row[0] * 60_000_000_000 for row in rows], *zip(*[row[1:] for row in rows]))

    def close(self):
        for db in self.open.values():
            db.close()
