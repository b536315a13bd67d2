"""What Godly-AI lacks: search by vector, recall, replay, and limits of growth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from siltstone import _siltstone
from siltstone._reports import make
from siltstone.errors import InvalidError
from siltstone.memory import _records
from siltstone.memory._errors import documented_errors
from siltstone.memory._records import GraphReport, Hit, Pruned, Recollection, Sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Recalling:
    """A part of :class:`SQLiteStorage`."""

    _recall: _siltstone.MemoryRecall

    # -- search, recall, replay ------------------------------------------------------------------

    @documented_errors
    def search_similar(
        self,
        vector: ArrayLike,
        k: int = 10,
        metric: str = "cosine",
        where: Mapping[str, Any] | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        episodes: bool = False,
        context_hash: str | None = None,
    ) -> list[Hit]:
        """The `k` concepts, or episodes with an embedding, that are most like a vector: exact, the likest first.

        Parameters
        ----------
        vector : array
            One dimension, as long as the embeddings.
        metric : {"cosine", "dot", "l2"}
            The largest first; of "l2", a distance, the smallest.
        where : dict, optional
            On the metadata: ``{"key": value}``, ``{"key": {"gte": value}}`` with eq, ne, in, gt, gte, lt and lte,
            ``{"and": [...]}``, ``{"or": [...]}``, ``{"not": {...}}``.
        since, until : float, optional
            Only what is of this time or later, and what is earlier: timestamps of episodes, creation times of concepts.
        episodes : bool
            Whether episodes are searched.
        context_hash : str, optional
            Only episodes of this context.
        """
        found = self._recall.search_similar(vector, k, metric, where, since, until, episodes, context_hash)
        one = _records.episode if episodes else _records.concept
        return [Hit(one(row), score) for row, score in found]

    @documented_errors
    def build_similarity_graph(
        self,
        threshold: float | None = None,
        k: int | None = None,
        relationship_type: str = "similar_to",
        normalize: bool = True,
        *,
        replace: bool = False,
    ) -> GraphReport:
        """Relate each concept with others like it, in one transaction.

        Parameters
        ----------
        threshold : float, optional
            Those that are more alike than this.
        k : int, optional
            Of each concept, at most so many others, the likest.
        relationship_type : str
            The type of the relationships.
        normalize : bool
            Whether likeness is the cosine; otherwise it is the product. In single precision.
        replace : bool
            Whether relationships of the type that are there already go first.
        """
        return GraphReport(*self._recall.build_graph(threshold, k, relationship_type, normalize, replace))

    @documented_errors
    def recall(
        self,
        query_vector: ArrayLike,
        k: int = 10,
        weights: Mapping[str, float] | None = None,
        *,
        half_life: float = 86_400.0,
        now: float | None = None,
        context_hash: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[Recollection]:
        """The `k` episodes with an embedding that come to mind first: by recency, importance and relevance, added up.

        Parameters
        ----------
        query_vector : array
            One dimension, as long as the embeddings.
        weights : dict, optional
            Of ``"recency"`` (a half to the power of age by half-life), ``"importance"`` (the performance score) and
            ``"relevance"`` (the cosine); 1 each unless given.
        half_life : float
            In seconds.
        now : float, optional
            The time from which age is counted; the present unless given.
        """
        terms = {"recency": 1.0, "importance": 1.0, "relevance": 1.0}
        unknown = set(weights or ()) - set(terms)
        if unknown:
            raise InvalidError(f"weights: expected {', '.join(terms)}, got {sorted(unknown)}")
        terms.update(weights or {})
        found = self._recall.recall(
            query_vector,
            k,
            tuple(float(term) for term in terms.values()),
            half_life,
            now,
            context_hash,
            where,
            since,
            until,
        )
        return [Recollection(_records.episode(row), *rest) for row, *rest in found]

    @documented_errors
    def sample_episodes(
        self,
        n: int,
        alpha: float = 0.6,
        beta: float = 0.4,
        seed: int | None = None,
        context: str | None = None,
        *,
        mode: str = "prioritized",
        reader: str = "default",
    ) -> Sample:
        """Sample episodes to learn from.

        Parameters
        ----------
        n : int
            How many.
        alpha, beta : float
            How much priorities count, and how much of the bias that they bring the weights take back.
        seed : int, optional
            The same episodes and seed give the same sample.
        context : str, optional
            Only episodes of this context.
        mode : {"prioritized", "uniform", "fifo"}
            In proportion to priority to the power of alpha; each as likely, none twice; or in the order of storing,
            from where the last call of this `reader` has ended, which the file knows.
        """
        import numpy as np

        rows, probabilities, weights = self._recall.sample(n, mode, alpha, beta, seed, context, reader)
        found = [_records.episode(row) for row in rows]
        return Sample(found, np.array(probabilities), np.array(weights))

    @documented_errors
    def update_priorities(self, episode_ids: Iterable[int], priorities: Iterable[float]) -> None:
        """Say how much is to be learned from episodes, in one transaction, all or none."""
        self._recall.update_priorities(list(episode_ids), list(priorities))

    @documented_errors
    def rewind(self, reader: str = "default") -> None:
        """Let a reader in order begin again."""
        self._recall.rewind(reader)

    # -- growth ----------------------------------------------------------------------------------

    @documented_errors
    def set_limit(
        self,
        context_hash: str | None = None,
        *,
        max_age: float | None = None,
        capacity: int | None = None,
        evict: str = "oldest",
    ) -> None:
        """Say how much of a context is kept, from now on, whoever stores; with neither, its limit is taken away.

        Parameters
        ----------
        context_hash : str, optional
            The context; ``None`` for all that have no limit of their own.
        max_age : float, optional
            Seconds after which an episode goes.
        capacity : int, optional
            The most episodes.
        evict : {"oldest", "lowest_priority"}
            Which go when there are more.
        """
        self._recall.set_limit(context_hash, max_age, capacity, evict)

    @documented_errors
    def limits(self) -> dict[str | None, dict[str, Any]]:
        """The limits that hold, by context; that of ``None`` is for all others."""
        return dict(json.loads(self._recall.limits()))

    @documented_errors
    def prune(self, *, dry_run: bool = False) -> list[Pruned]:
        """Remove what the limits do not keep, and give the room back; a dry run only says what would go."""
        return [make(Pruned, gone) for gone in json.loads(self._recall.prune(dry_run))]
