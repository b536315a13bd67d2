"""An agent that remembers: stores what it has seen, finds what is like it, and learns from what surprised it.

``python examples/memory.py``
"""

import tempfile
from pathlib import Path

import numpy as np

from siltstone.memory import SQLiteStorage


def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder, SQLiteStorage(Path(folder) / "agent.db") as store:
        store.set_limit("maze", capacity=80)
        for step in range(100):
            seen = rng.normal(size=16)
            store.store_episode(
                {"observation": seen, "action": int(rng.integers(4)), "step": step},
                performance_score=float(np.tanh(seen[0])),
                context_hash="maze",
                embedding=seen,
            )
        now = rng.normal(size=16)
        for memory in store.recall(now, k=3, half_life=60.0):
            print(
                f"step {memory.episode.data['step']:3}  score {memory.score:.2f} = recency {memory.recency:.2f}"
                f" + importance {memory.importance:.2f} + relevance {memory.relevance:.2f}"
            )
        sample = store.sample_episodes(8, seed=1)
        surprise = [abs(episode.performance_score) for episode in sample.episodes]
        store.update_priorities([episode.id for episode in sample.episodes], surprise)
        with store.transaction():
            store.store_concept("maze", now)
            store.store_learning_event("navigation", 0.15, "recall")
        stats = store.get_database_stats()
        assert stats["episodes_count"] == 80
        print(f"{stats['episodes_count']} episodes in {stats['db_size_mb']:.2f} MB")


if __name__ == "__main__":
    main()
