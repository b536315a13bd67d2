"""What a careful user writes by hand: `sqlite3`, WAL, `executemany`, one join to read."""

import json
import sqlite3

import numpy as np

from baseline import Baseline
from replay import replay

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS "update" (
    id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, iteration INTEGER NOT NULL,
    dataset_name TEXT NOT NULL, origin TEXT, UNIQUE (dataset_name, timestamp, iteration));
CREATE TABLE IF NOT EXISTS numpy_array (
    id INTEGER PRIMARY KEY, dtype TEXT NOT NULL, shape TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS attribute_data (
    id INTEGER PRIMARY KEY, entity_group TEXT NOT NULL, attribute_name TEXT NOT NULL,
    data_id INTEGER NOT NULL REFERENCES numpy_array, indptr_id INTEGER REFERENCES numpy_array,
    min_val REAL, max_val REAL);
CREATE TABLE IF NOT EXISTS update_attribute (
    update_id INTEGER NOT NULL REFERENCES "update",
    attribute_data_id INTEGER NOT NULL REFERENCES attribute_data,
    PRIMARY KEY (update_id, attribute_data_id)) WITHOUT ROWID;
"""
READ = """
SELECT u.id, u.timestamp, u.iteration, a.entity_group, a.attribute_name, n.dtype, n.shape, n.data
FROM "update" u
JOIN update_attribute ua ON ua.update_id = u.id
JOIN attribute_data a ON a.id = ua.attribute_data_id
JOIN numpy_array n ON n.id = a.data_id
WHERE u.dataset_name = ? AND u.timestamp <= ?
ORDER BY u.timestamp, u.iteration
"""


class Sqlite3Executemany(Baseline):
    batches = True

    def __init__(self, folder, *, write):
        self.folder = folder
        self.db = sqlite3.connect(folder / "run.db", isolation_level=None)
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA foreign_keys = ON")
        if write:
            self.db.executescript(SCHEMA)

    def write_each(self, updates):
        for update in updates:
            self.write_batch([update])

    def write_batch(self, updates):
        self.db.execute("BEGIN IMMEDIATE")
        first_id = self._next_id('"update"')
        array_id = self._next_id("numpy_array")  # and of attribute_data: they grow together
        rows, arrays, attributes, links = [], [], [], []
        for update_id, update in enumerate(updates, first_id):
            key = (update.timestamp, update.iteration, update.dataset, update.origin)
            rows.append((update_id, *key))
            for group, columns in update.data.items():
                for name, column in columns.items():
                    data = column["data"]
                    shape = json.dumps(data.shape)
                    arrays.append((array_id, data.dtype.str, shape, data.tobytes()))
                    attributes.append((array_id, group, name, array_id))
                    links.append((update_id, array_id))
                    array_id += 1
        self.db.executemany('INSERT INTO "update" VALUES (?, ?, ?, ?, ?)', rows)
        self.db.executemany("INSERT INTO numpy_array VALUES (?, ?, ?, ?)", arrays)
        self.db.executemany(
            "INSERT INTO attribute_data VALUES (?, ?, ?, ?, NULL, NULL, NULL)", attributes
        )
        self.db.executemany("INSERT INTO update_attribute VALUES (?, ?)", links)
        self.db.execute("COMMIT")

    def _next_id(self, table):
        return self.db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0]

    def read_all(self, dataset):
        return self._read(dataset, 2**63 - 1)

    def state_at(self, dataset, group, timestamp):
        return replay(self._read(dataset, timestamp), group, timestamp)

    def _read(self, dataset, until):
        updates, last = [], None
        rows = self.db.execute(READ, (dataset, until))
        for update_id, timestamp, iteration, group, name, dtype, shape, data in rows:
            if update_id != last:
                update, last = {"timestamp": timestamp, "iteration": iteration}, update_id
                updates.append(update)
            array = np.frombuffer(data, dtype).reshape(json.loads(shape))
            update.setdefault(group, {})[name] = {"data": array}
        return updates

    def close(self):
        self.db.close()
