"""Zarr 3 in a local folder: an array an attribute, a chunk a file, appended to by update."""

import zarr

import dense
from baseline import Baseline

# A chunk is written whole at each append, so it is small; a row of the large case fills one.
CHUNK_BYTES = 8 * 1024


class Zarr(Baseline):
    unfair = dense.DENSE + "several files an update: a kill can leave half an update"
    batches = True

    def __init__(self, folder, *, write):
        self.folder = folder
        self.root = zarr.open_group(folder / "run.zarr", mode="a" if write else "r")
        self.arrays = {}

    def write_each(self, updates):
        for update in updates:
            self.write_batch([update])

    def write_batch(self, updates):
        for path, rows in dense.columns(updates).items():
            array = self.arrays.get(path)
            if array is None:
                array = self.arrays[path] = self._create(path, rows)
            array.append(rows)

    def _create(self, path, rows):
        row = rows.shape[1:]
        chunk_rows = max(1, CHUNK_BYTES // rows[0].nbytes)
        return self.root.create_array(
            path, shape=(0, *row), dtype=rows.dtype, chunks=(chunk_rows, *row), compressors=None
        )

    def read_all(self, dataset):
        return dense.read_all(_Members(self.root[dataset]))

    def state_at(self, dataset, group, timestamp):
        return dense.state_at(_Members(self.root[dataset]), group, timestamp)

    def close(self):
        self.root.store.close()


class _Members(dict):
    """A zarr group listed once: iterating over the group itself lists the folder each time."""

    def __init__(self, group):
        super().__init__(group.members())
        for name, member in self.items():
            if isinstance(member, zarr.Group):
                self[name] = dict(member.arrays())
