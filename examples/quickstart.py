"""Records a small run, and reads it while it is being written.

``python examples/quickstart.py``
"""

import tempfile
from pathlib import Path

import numpy as np

import siltstone


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rod.db"
        ids = np.arange(1, 51)
        heat = np.full(50, 20.0)
        heat[0] = 100.0

        with siltstone.open(path) as db:
            for timestamp in range(1000):
                cells = {"id": {"data": ids}, "temperature": {"data": heat}}
                # Acknowledged: a kill of this process loses nothing from here on.
                db.simulation.store_update(timestamp, 0, "rod", {"cells": cells}, origin="heat equation")
                heat[1:-1] += 0.25 * (heat[:-2] - 2 * heat[1:-1] + heat[2:])

            # Another process may do this at any time, also while the run goes on.
            reader = siltstone.open(path, read_only=True).simulation
            assert reader.get_datasets() == ["rod"]
            assert reader.get_update_count("rod") == 1000
            for timestamp in (0, 10, 100, 999):
                state = reader.state_at("rod", "cells", timestamp)
                beside = state["temperature"]["data"][1]
                print(f"t={timestamp:<4} the cell beside the hot end has {beside:.2f} degrees")
                assert 20.0 <= beside < 100.0
            assert reader.run.status == "running"

        assert reader.run.status == "complete"
        arrays = reader.sql("SELECT count(*) FROM numpy_array")[0][0]
        print(f"arrays stored for 2,000 given ones: {arrays} (ids are stored once)")
        assert arrays == 1001
        assert reader.verify().ok
        reader.close()


if __name__ == "__main__":
    main()
