"""chDB: ClickHouse in the process, a MergeTree that syncs each insert."""

import pyarrow as pa
from chdb.session import Session

TABLE = """CREATE TABLE IF NOT EXISTS t.ticks (symbol LowCardinality(String),
ts Int64 CODEC(DoubleDelta, ZSTD), bid Float64 CODEC(ZSTD), ask Float64 CODEC(ZSTD),
spread Float64 CODEC(ZSTD), lp LowCardinality(String)) ENGINE = MergeTree ORDER BY (symbol, ts)
PARTITION BY intDiv(ts, 86400000) SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"""
BARS = """SELECT intDiv(ts, 60000) AS m, argMin(mid, ts) AS o, max(mid) AS h, min(mid) AS l,
argMax(mid, ts) AS c, toFloat64(count()) AS n
FROM (SELECT symbol, ts, (bid + ask) / 2 AS mid FROM t.ticks) GROUP BY symbol, m"""


class Chdb:
    unfair = ""

    def __init__(self, folder, data):
        self.data = data
        self.db = Session(str(folder))
        self.db.query("CREATE DATABASE IF NOT EXISTS t")
        self.db.query(TABLE)

    def _write(self, rows):
        names = pa.DictionaryArray.from_arrays(pa.array(rows.symbol), pa.array(self.data.symbols))
        batch = pa.table(  # noqa: F841, found by its name
            {
                "symbol": names.cast(pa.string()),
                "ts": rows.time_ns // 1_000_000,
                "bid": rows.bid,
                "ask": rows.ask,
                "spread": rows.ask - rows.bid,
            }
        )
        self.db.query(f"INSERT INTO t.ticks SELECT *, '{self.data.lp}' FROM Python(batch)")

    def ingest(self, batches):
        for batch in batches:
            self._write(batch)

    def bulk(self, rows):
        self._write(rows)

    def _ticks(self, sql):
        got = self.db.query(sql, "ArrowTable")
        column = lambda name: got[name].to_numpy()
        return lambda: (column("ts") * 1_000_000, column("bid"), column("ask"))

    def last(self, symbol, n):
        return self._ticks(
            f"SELECT ts, bid, ask, spread, lp FROM t.ticks WHERE symbol = '{symbol}'"
            f" ORDER BY ts DESC LIMIT {n}"
        )

    def range(self, symbol, from_ns, to_ns):
        return self._ticks(
            f"SELECT ts, bid, ask, spread, lp FROM t.ticks WHERE symbol = '{symbol}' AND"
            f" ts BETWEEN {from_ns // 1_000_000} AND {to_ns // 1_000_000} ORDER BY ts"
        )

    def bars(self):
        got = self.db.query(BARS, "ArrowTable")
        column = lambda name: got[name].to_numpy()
        return lambda: (column("m") * 60_000_000_000, *map(column, "ohlcn"))

    def close(self):
        self.db.close()
