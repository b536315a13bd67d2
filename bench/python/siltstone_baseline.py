"""Siltstone through its Python package, by the documented names, as it comes: durability `os`."""

from siltstone.simulation import SimulationDatabase

from baseline import Baseline


class Siltstone(Baseline):
    batches = True

    def __init__(self, folder, *, write):
        self.folder = folder
        self.db = SimulationDatabase(folder / "run.db")

    def write_each(self, updates):
        for update in updates:
            self.db.store_update(
                update.timestamp, update.iteration, update.dataset, update.data, update.origin
            )

    def write_batch(self, updates):
        self.db.store_updates(updates)

    def read_all(self, dataset):
        return self.db.get_dataset_updates(dataset)

    def state_at(self, dataset, group, timestamp):
        return self.db.state_at(dataset, group, timestamp)

    def close(self):
        self.db.close()
