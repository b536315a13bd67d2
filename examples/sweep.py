"""Runs a sweep in four processes that log into one file, and compares it.

``python examples/sweep.py``
"""

import multiprocessing
import random
import tempfile
from pathlib import Path

from siltstone.experiment import ExperimentDatabase, merge


def run(task: tuple[str, str, float]) -> None:
    path, name, rate = task
    chance = random.Random(name)
    with ExperimentDatabase(path, "growth") as db:
        # Completed at the end of the block, or failed with the exception's text.
        with db.create_simulation_context(name, {"rate": rate, "seed": name}) as sim:
            walkers = {f"w{i}": 0.0 for i in range(20)}
            for step in range(100):
                for walker in walkers:
                    walkers[walker] += chance.gauss(0, 1) + rate
                states = [
                    (walker, x, 0.0, 1.0, 100.0, 100.0, 0, False, x, step) for walker, x in walkers.items()
                ]
                sim.logger.log_step(step, states, [], {"total_agents": len(walkers)})
                sim.log_metric("spread", max(walkers.values()) - min(walkers.values()), step)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sweep.db")
        tasks = [(path, f"run_{i}", i / 10) for i in range(8)]
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            pool.map(run, tasks)

        with ExperimentDatabase(path, "growth") as db:
            far = db.compare("params.rate >= 0.4", "agent_states.total_reward", at="final").to_arrow()
            assert far.num_rows == 4
            for name, reward in zip(*far.to_pydict().values()):
                print(f"{name}: mean reward {reward:.1f} at the end")
            for name in db.get_simulation_ids():
                db.compact(name)
            db.vacuum()
            print(f"{Path(path).stat().st_size / 1e3:.0f} kB for {sum(s.rows for s in db.sizes()):,} records")

        report = merge([path], Path(folder) / "all.db")
        assert len(report.copied) == 8


if __name__ == "__main__":
    main()
