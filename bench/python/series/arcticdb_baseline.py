"""ArcticDB on LMDB: a symbol a series."""

import arcticdb
from baseline import Baseline


class Arcticdb(Baseline):
    def __init__(self, folder):
        store = arcticdb.Arctic(f"lmdb://{folder}?map_size=2GB")
        self.lib = store.get_library("series", create_if_missing=True)

    def save(self, key, series):
        self.lib.write(key, series, metadata={"unit": "C"})

    def load(self, key):
        return self.lib.read(key).data

    def range(self, key, start, end):
        return self.lib.read(key, date_range=(start, end)).data

    def append(self, key, series):
        self.lib.append(key, series)

    def save_many(self, series):
        self.lib.write_batch([arcticdb.WritePayload(key, one) for key, one in series.items()])

    def load_many(self, keys):
        keys = list(keys)
        read = self.lib.read_batch(keys)
        return {key: item.data for key, item in zip(keys, read, strict=True)}

    def keys(self):
        return sorted(self.lib.list_symbols())
