"""Siltstone's own package."""

from data import CONTEXT, SCORE, Edges
from baseline import Baseline

from siltstone.memory import SQLiteStorage

GROUP = 10_000


class Siltstone(Baseline):
    """As it comes: a call is committed when it returns."""

    def __init__(self, folder):
        self.store = SQLiteStorage(folder / "memory.db")

    def store_each(self, experiences):
        store_episode = self.store.store_episode
        return [store_episode(one, SCORE, CONTEXT) for one in experiences]

    def store_batch(self, rows):
        return self.store.store_episodes(rows)

    def latest(self, limit):
        return self.store.get_episodes_by_context(CONTEXT, limit=limit)

    def decode(self, episode):
        return self.store._deserialize_array(episode.experience_data)

    def store_concepts(self, vectors):
        for first in range(0, len(vectors), GROUP):
            rows = enumerate(vectors[first : first + GROUP], first)
            self.store.store_concepts([{"name": f"c{n}", "embedding": row} for n, row in rows])

    def search(self, vector, k):
        hits = self.store.search_similar(vector, k=k, metric="cosine")
        return [(hit.id - 1, hit.score) for hit in hits]

    def compact(self):
        self.store.compact()

    def graph(self, threshold):
        built = self.store.build_similarity_graph(
            threshold=threshold, relationship_type="similar_to", normalize=True
        )
        return built.relationships

    def edges(self, count):
        return Edges.of(
            (source, target, strength)
            for source in range(1, count + 1)
            for target, _, strength in self.store.get_concept_relationships(source)
        )

    def close(self):
        self.store.close()
