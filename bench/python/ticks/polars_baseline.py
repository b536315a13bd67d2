"""Polars on Parquet: a file a batch or day, written, synced and renamed."""

import os

import polars as pl


class Polars:
    unfair = "a file a batch: nothing puts small files together, and nothing guards against doubles"

    def __init__(self, folder, data):
        self.folder, self.data, self.n = folder, data, len(list(folder.glob("*.parquet")))

    def _frame(self, rows):
        names = pl.Series(self.data.symbols)
        return pl.DataFrame(
            {
                "symbol": names.gather(rows.symbol),
                "ts": rows.time_ns // 1_000_000,
                "bid": rows.bid,
                "ask": rows.ask,
                "spread": rows.ask - rows.bid,
            }
        ).with_columns(lp=pl.lit(self.data.lp))

    def _write(self, frame):
        path = self.folder / f"{self.n:06}.tmp"
        with path.open("wb") as file:
            frame.write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        path.rename(path.with_suffix(".parquet"))
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.n += 1

    def ingest(self, batches):
        for batch in batches:
            self._write(self._frame(batch))

    def bulk(self, rows):
        self._write(self._frame(rows).sort("symbol", "ts"))

    def _scan(self):
        return pl.scan_parquet(self.folder / "*.parquet")

    @staticmethod
    def _ticks(frame):
        got = frame.collect()
        return lambda: (got["ts"] * 1_000_000, got["bid"], got["ask"])

    def last(self, symbol, n):
        # The files are days, in the order of their names: a reader knows which one is the last.
        scan = pl.scan_parquet(self.folder / f"{self.n - 1:06}.parquet")
        return self._ticks(scan.filter(pl.col("symbol") == symbol).tail(n))

    def range(self, symbol, from_ns, to_ns):
        within = pl.col("ts").is_between(from_ns // 1_000_000, to_ns // 1_000_000)
        return self._ticks(self._scan().filter(pl.col("symbol") == symbol, within).sort("ts"))

    def bars(self):
        mid = (pl.col("bid") + pl.col("ask")) / 2.0
        frame = self._scan().select("symbol", minute=pl.col("ts") // 60_000, mid=mid)
        p = pl.col("mid")
        bars = frame.group_by("symbol", "minute").agg(
            o=p.first(), h=p.max(), l=p.min(), c=p.last(), n=pl.len().cast(pl.Float64)
        )
        got = bars.collect()
        return lambda: (got["minute"] * 60_000_000_000, *(got[c] for c in "ohlcn"))

    def close(self):
        pass
