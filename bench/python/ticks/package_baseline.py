"""Siltstone through its Python package, columns in and out."""

import numpy as np
import pyarrow as pa
from siltstone.ticks import TickStore, TickStoreConfig


class Package:
    unfair = ""

    def __init__(self, folder, data):
        self.data = data
        config = TickStoreConfig.production(
            "default",
            sqlite_base_path=folder,
            durability="disk",
            max_ticks_per_symbol=1,  # all is read from the disk
        )
        self.store = TickStore(config)

    def bulk(self, rows):
        codes, names = pa.array(rows.symbol.astype("i4")), pa.array(self.data.symbols)
        columns = {
            "symbol": pa.DictionaryArray.from_arrays(codes, names),
            "time": pa.array(rows.time_ns).cast(pa.timestamp("ns", "UTC")),
            "bid": rows.bid,
            "ask": rows.ask,
        }
        self.store.store_ticks(pa.table(columns), lp=self.data.lp)

    def ingest(self, batches):
        for batch in batches:
            self.bulk(batch)

    @staticmethod
    def _ticks(got):
        columns = got.time_ns, got.bid, got.ask
        return lambda: columns

    def last(self, symbol, n):
        return self._ticks(self.store.get_recent_ticks(symbol, n))

    def range(self, symbol, from_ns, to_ns):
        return self._ticks(self.store.get_ticks_in_range(symbol, from_ns, to_ns))

    def bars(self):
        got = [self.store.ohlc(symbol, 60_000_000_000) for symbol in self.data.symbols]
        names = ("time", "open", "high", "low", "close", "volume")
        columns = [np.concatenate([getattr(bars, name) for bars in got]) for name in names]
        return lambda: (columns[0].astype("int64"), *columns[1:])

    def close(self):
        self.store.stop()
