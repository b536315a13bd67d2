"""movici's way before SQLite: one JSON file an update, undefined cells as null."""

import re

import numpy as np
import orjson

from baseline import Baseline
from replay import replay

UNDEFINED_INT = -(2**31)  # what stands for "undefined" in an integer array
FILE_NAME = re.compile(r"t(\d+)_(\d+)_(\w+)\.json")


class MoviciJson(Baseline):
    unfair = "writes in place, an update a file: a kill can leave a cut file"

    def __init__(self, folder, *, write):
        self.folder = folder

    def write_each(self, updates):
        for update in updates:
            groups = {
                group: {name: self.cells(column["data"]) for name, column in columns.items()}
                for group, columns in update.data.items()
            }
            text = orjson.dumps({update.dataset: groups}, option=orjson.OPT_SERIALIZE_NUMPY)
            name = f"t{update.timestamp}_{update.iteration}_{update.dataset}.json"
            (self.folder / name).write_bytes(text)

    @staticmethod
    def cells(array):
        undefined = np.isnan(array) if array.dtype.kind == "f" else array == UNDEFINED_INT
        if not undefined.any():
            return array.tolist()
        pairs = zip(array.tolist(), undefined, strict=True)
        return [None if gone else cell for cell, gone in pairs]

    def read_all(self, dataset):
        found = (FILE_NAME.fullmatch(file.name) for file in self.folder.iterdir())
        keys = sorted((int(m[1]), int(m[2]), m[0]) for m in found if m and m[3] == dataset)
        return [self._read(dataset, *key) for key in keys]

    def _read(self, dataset, timestamp, iteration, name):
        update = {"timestamp": timestamp, "iteration": iteration}
        groups = orjson.loads((self.folder / name).read_bytes())[dataset]
        for group, columns in groups.items():
            update[group] = {name: {"data": np.array(data)} for name, data in columns.items()}
        return update

    def state_at(self, dataset, group, timestamp):
        return replay(self.read_all(dataset), group, timestamp)

    def close(self):
        pass


class MoviciJsonDirect(MoviciJson):
    """The fastest that JSON can be: orjson takes the arrays as they are."""

    unfair = MoviciJson.unfair + "; does not look for undefined cells, as the format asks"

    @staticmethod
    def cells(array):
        return array
