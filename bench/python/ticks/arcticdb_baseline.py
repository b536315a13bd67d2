"""ArcticDB on LMDB: a symbol each, frames with a time index."""

import arcticdb
import numpy as np
import pandas as pd


class Arcticdb:
    unfair = "small batches of 500 are of one symbol each: an append is to one symbol"

    def __init__(self, folder, data):
        self.data = data
        store = arcticdb.Arctic(f"lmdb://{folder}?map_size=4GB")
        self.lib = store.get_library("ticks", create_if_missing=True)

    def _append(self, symbol, rows):
        frame = pd.DataFrame(
            {"bid": rows.bid, "ask": rows.ask, "spread": rows.ask - rows.bid},
            index=pd.DatetimeIndex(rows.time_ns.view("datetime64[ns]")),
        )
        self.lib.append(self.data.symbols[symbol], frame)

    def ingest(self, batches):
        batches = list(batches)
        rows = type(batches[0])(*map(np.concatenate, zip(*batches, strict=True)))
        n = len(batches[0].bid)
        for symbol in range(len(self.data.symbols)):
            own = rows.of(symbol)
            for first in range(0, len(own.bid), n):
                self._append(symbol, own.part(first, first + n))

    def bulk(self, rows):
        for symbol in range(len(self.data.symbols)):
            self._append(symbol, rows.of(symbol))

    @staticmethod
    def _ticks(frame):
        return lambda: (frame.index.astype("int64"), frame["bid"], frame["ask"])

    def last(self, symbol, n):
        return self._ticks(self.lib.tail(symbol, n).data)

    def range(self, symbol, from_ns, to_ns):
        span = pd.Timestamp(from_ns), pd.Timestamp(to_ns)
        return self._ticks(self.lib.read(symbol, date_range=span).data)

    def bars(self):
        parts = []
        for symbol in self.data.symbols:
            query = arcticdb.QueryBuilder()
            query = (
                query.apply("mid", (query["bid"] + query["ask"]) / 2.0)
                .resample("1min")
                .agg(
                    {
                        "o": ("mid", "first"),
                        "h": ("mid", "max"),
                        "l": ("mid", "min"),
                        "c": ("mid", "last"),
                        "n": ("mid", "count"),
                    }
                )
            )
            parts.append(self.lib.read(symbol, query_builder=query).data)
        got = pd.concat(parts)
        return lambda: (got.index.astype("int64"), *(got[c] for c in "ohlcn"))

    def close(self):
        pass
