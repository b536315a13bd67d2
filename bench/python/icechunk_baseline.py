"""Icechunk in a local folder: zarr arrays under a transaction, committed at each update."""

import icechunk
import zarr

import dense
from zarr_baseline import Zarr


class Icechunk(Zarr):
    # A commit puts a manifest, a snapshot and the branch as new files. None is synced.
    unfair = dense.DENSE + "its local store is for tests: commits at the same time can lose one"

    def __init__(self, folder, *, write):
        self.folder, self.is_new = folder, write
        storage = icechunk.local_filesystem_storage(str(folder / "run.icechunk"))
        self.repository = icechunk.Repository.open_or_create(storage)
        if not write:
            self.root = zarr.open_group(self.repository.readonly_session("main").store, mode="r")

    def write_batch(self, updates):
        session = self.repository.writable_session("main")
        self.root = zarr.open_group(session.store, mode="a")
        self.arrays = {} if self.is_new else {path: self.root[path] for path in dense.columns(updates)}
        super().write_batch(updates)
        self.is_new = False
        session.commit("an update")

    def close(self):
        pass
