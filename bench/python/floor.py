"""The floor under every store: the same bytes by `write` to one file, and one `fsync`."""

import os

import numpy as np

from baseline import Baseline


class Floor(Baseline):
    """One `write` an update, of its values; ids only when they differ from those before."""

    unfair = "the floor, not a store: no names, no reading, ids once, one fsync at the end"
    reads = False

    def __init__(self, folder, *, write):
        self.folder = folder
        self.file = os.open(folder / "run.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.ids = np.empty(0, np.int64)

    def write_each(self, updates):
        for update in updates:
            self._write(self._bytes(update))
        os.fsync(self.file)

    def close(self):
        os.close(self.file)

    def _write(self, data):
        # One write may take less than it is given (2 GiB on Linux): the bench would lie.
        assert os.write(self.file, data) == len(data)

    def _bytes(self, update):
        parts = []
        for columns in update.data.values():
            for name, column in columns.items():
                if name == "id":
                    if np.array_equal(column["data"], self.ids):
                        continue
                    self.ids = column["data"]
                parts.append(column["data"].tobytes())
        return b"".join(parts)
