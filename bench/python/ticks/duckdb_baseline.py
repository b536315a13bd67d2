"""DuckDB: one table, rows handed over as Arrow; a sync of its log a statement."""

import duckdb
import pyarrow as pa

BARS = """SELECT ts // 60000 AS m, first(mid ORDER BY ts), max(mid), min(mid), last(mid ORDER BY ts),
count(*)::DOUBLE FROM (SELECT symbol, ts, (bid + ask) / 2 AS mid FROM ticks) GROUP BY symbol, m"""


class Duckdb:
    unfair = "no unique key: its index would cost it a third of its speed"

    def __init__(self, folder, data):
        self.data = data
        self.db = duckdb.connect(str(folder / "ticks.duckdb"))
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS ticks (symbol VARCHAR, ts BIGINT, bid DOUBLE, ask DOUBLE,"
            " spread DOUBLE, lp VARCHAR)"
        )

    def _write(self, rows):
        names = pa.DictionaryArray.from_arrays(pa.array(rows.symbol), pa.array(self.data.symbols))
        batch = pa.table(
            {
                "symbol": names.cast(pa.string()),
                "ts": rows.time_ns // 1_000_000,
                "bid": rows.bid,
                "ask": rows.ask,
                "spread": rows.ask - rows.bid,
                "lp": pa.array([self.data.lp]).take(pa.array([0] * len(rows.bid))),
            }
        )
        self.db.register("batch", batch)
        self.db.execute("INSERT INTO ticks SELECT * FROM batch")
        self.db.unregister("batch")

    def ingest(self, batches):
        for batch in batches:
            self._write(batch)

    def bulk(self, rows):
        self._write(rows)
        self.db.execute("CHECKPOINT")

    def _ticks(self, sql, values):
        got = self.db.execute(sql, values).fetchnumpy()
        return lambda: (got["ts"] * 1_000_000, got["bid"], got["ask"])

    def last(self, symbol, n):
        return self._ticks(
            "SELECT ts, bid, ask, spread, lp FROM ticks WHERE symbol = ? ORDER BY ts DESC LIMIT ?",
            [symbol, n],
        )

    def range(self, symbol, from_ns, to_ns):
        return self._ticks(
            "SELECT ts, bid, ask, spread, lp FROM ticks WHERE symbol = ?"
            " AND ts BETWEEN ? AND ? ORDER BY ts",
            [symbol, from_ns // 1_000_000, to_ns // 1_000_000],
        )

    def bars(self):
        got = list(self.db.execute(BARS).fetchnumpy().values())
        return lambda: (got[0] * 60_000_000_000, *got[1:])

    def close(self):
        self.db.close()
