"""Reads a run with Python's own sqlite3, in the process that is writing it.

Siltstone is used here only to record; what reads knows nothing of it but the table names.

``python examples/read_with_plain_sqlite.py``
"""

import json
import sqlite3
import tempfile
from pathlib import Path

import numpy as np

from siltstone.simulation import SimulationDatabase

QUERY = """
    SELECT u.timestamp, n.dtype, n.shape, n.codec, n.data
    FROM "update" u
    JOIN update_attribute l ON l.update_id = u.id
    JOIN attribute_data a ON a.id = l.attribute_data_id
    JOIN numpy_array n ON n.id = a.data_id
    WHERE u.dataset_name = ? AND a.entity_group = ? AND a.attribute_name = ?
    ORDER BY u.timestamp, u.iteration
"""


def read(path: Path, dataset: str, group: str, attribute: str) -> dict[int, np.ndarray]:
    """An attribute's values by timestamp."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        found = {}
        for timestamp, dtype, shape, codec, data in connection.execute(QUERY, (dataset, group, attribute)):
            # `raw` is the default codec, and stored as NULL; docs/format.md has the others.
            assert codec is None
            found[timestamp] = np.frombuffer(data, dtype).reshape(json.loads(shape))
        return found
    finally:
        connection.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "run.db"
        with SimulationDatabase(path) as db:
            for timestamp in range(100):
                points = np.array([[timestamp, 0.0], [0.5, -timestamp]])
                cars = {"id": {"data": np.array([7, 8])}, "position": {"data": points}}
                db.store_update(timestamp, 0, "road", {"cars": cars})
                if timestamp % 25 == 0:
                    # Two SQLite libraries in one process: this is safe on Linux (docs/guarantees.md).
                    positions = read(path, "road", "cars", "position")
                    assert list(positions) == list(range(timestamp + 1))

        positions = read(path, "road", "cars", "position")
        print(f"{len(positions)} updates; the last: {positions[99].tolist()}")
        assert positions[99].tolist() == [[99.0, 0.0], [0.5, -99.0]]
        assert positions[99].dtype == np.float64


if __name__ == "__main__":
    main()
