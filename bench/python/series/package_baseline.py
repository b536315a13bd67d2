"""Siltstone's own package, by address."""

import postgresql
from baseline import Baseline

from siltstone import series


class _Package(Baseline):
    def _address(self, folder):
        raise NotImplementedError

    def __init__(self, folder):
        self.backend = series.open(self._address(folder))

    def save(self, key, one):
        self.backend.save(one, key, {"unit": "C"})

    def load(self, key):
        return self.backend.load(key)[0]

    def range(self, key, start, end):
        return self.backend.load_range(key, start, end)

    def append(self, key, one):
        self.backend.append(key, one)

    def save_many(self, many):
        self.backend.save_many((key, one, {"unit": "C"}) for key, one in many.items())

    def load_many(self, keys):
        return {key: one for key, (one, _) in self.backend.load_many(keys).items()}

    def keys(self):
        return self.backend.list_keys()

    def compact(self):
        self.backend.compact()


class Sqlite(_Package):
    survives = "process"

    def _address(self, folder):
        return f"sqlite:{folder / 'series.db'}"

    def compact(self):
        super().compact()
        self.backend.vacuum()


class Parquet(_Package):
    survives = "disk"

    def _address(self, folder):
        return f"parquet:{folder / 'series'}"


class Memory(_Package):
    survives = "-"
    in_memory = True

    def _address(self, _folder):
        return "memory:"


class Postgresql(_Package):
    survives = "disk"
    prepare = staticmethod(postgresql.prepare)

    def _address(self, folder):
        return postgresql.address(folder)
