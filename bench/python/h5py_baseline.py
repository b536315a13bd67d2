"""HDF5 through h5py: a resizable, chunked dataset an attribute, flushed after each update."""

import h5py

import dense
from baseline import Baseline

CHUNK_BYTES = 64 * 1024


class H5py(Baseline):
    durability = "none"
    unfair = dense.DENSE + "not crash safe: a kill in a flush can leave older updates unreadable"
    batches = True

    def __init__(self, folder, *, write):
        self.folder = folder
        self.file = h5py.File(folder / "run.h5", "a" if write else "r")
        self.arrays = {}

    def write_each(self, updates):
        for update in updates:
            self.write_batch([update])

    def write_batch(self, updates):
        for path, rows in dense.columns(updates).items():
            array = self.arrays.get(path)
            if array is None:
                array = self.arrays[path] = self._create(path, rows)
            start = array.shape[0]
            array.resize(start + len(rows), axis=0)
            array[start:] = rows
        self.file.flush()

    def _create(self, path, rows):
        row = rows.shape[1:]
        chunk_rows = max(1, CHUNK_BYTES // rows[0].nbytes)
        return self.file.create_dataset(
            path, (0, *row), rows.dtype, maxshape=(None, *row), chunks=(chunk_rows, *row)
        )

    def read_all(self, dataset):
        return dense.read_all(self.file[dataset])

    def state_at(self, dataset, group, timestamp):
        return dense.state_at(self.file[dataset], group, timestamp)

    def close(self):
        self.file.close()
