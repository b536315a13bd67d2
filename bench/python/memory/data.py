"""What is stored and asked in this bench, and the right answers, by numpy in double precision."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

CONTEXT, SCORE = "ctx", 0.5
VALUES, DIMENSIONS = 128, 512
LATEST, K, QUERIES, PASSES = 100, 10, 20, 5
TIE = 1e-6  # scores that are no further apart are equal
THRESHOLDS = {"clustered": 0.8, "full": 0.0}


class Sizes(NamedTuple):
    """How much of everything; `part` is of `concepts`, for those whose work on all takes minutes."""

    episodes: int
    dicts: int
    latest: int
    vectors: int
    concepts: int
    part: int


SIZES = {
    "full": Sizes(5_000, 300, 100_000, 100_000, 1_000, 100),
    "quick": Sizes(500, 20, 5_000, 5_000, 200, 50),
}


def episodes(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).random((count, VALUES)))


def dicts(count: int) -> list[dict]:
    """The description's own example of an experience."""
    random = np.random.default_rng(2)
    return [
        {
            "observation": random.random((84, 84, 3)),
            "action": f"move_{n}",
            "reward": n / 7,
            "next_observation": random.random((84, 84, 3)),
        }
        for n in range(count)
    ]


def rows(experiences: list, times: list[float]) -> list[dict]:
    """What a batch takes."""
    about = {"performance_score": SCORE, "context_hash": CONTEXT}
    return [
        {"experience_data": one, **about, "timestamp": at}
        for one, at in zip(experiences, times, strict=True)
    ]


def times(count: int) -> np.ndarray:
    """Distinct, and not in the order in which they are stored."""
    return np.random.default_rng(3).permutation(count).astype(float)


def unit(made: np.ndarray) -> np.ndarray:
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def queries() -> np.ndarray:
    return unit(np.random.default_rng(5).standard_normal((QUERIES, DIMENSIONS))).astype(np.float32)


class Vectors:
    """The vectors that are searched, kept in a folder for all processes, with the best scores of each query."""

    def __init__(self, folder: Path, count: int) -> None:
        self.file, self.best = folder / f"vectors-{count}.npy", folder / f"best-{count}.npy"
        if not self.best.exists():
            folder.mkdir(exist_ok=True)
            self._make(count)

    def _make(self, count):
        random = np.random.default_rng(4)
        made = random.standard_normal((count, DIMENSIONS), dtype=np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        np.save(self.file, made)
        asked = queries().astype(float).T
        blocks = [
            _cosines(made[first : first + 10_000], asked) for first in range(0, count, 10_000)
        ]
        np.save(self.best, -np.sort(-np.concatenate(blocks), axis=0)[:K].T)

    def load(self) -> np.ndarray:
        return np.load(self.file)

    def wrong(self, query: int, found: list[tuple[int, float]]) -> str | None:
        """Say what is wrong with the rows and scores that a store has found; rows may swap where they tie."""
        places = [row for row, _ in found]
        if len(set(places)) != K or not all(isinstance(row, int) for row in places):
            return f"query {query}: expected {K} rows, got {places}"
        true = _cosines(np.load(self.file, mmap_mode="r")[places], queries()[query].astype(float))
        off = np.abs(true - np.load(self.best)[query]).max()
        if off > TIE:
            return f"query {query}: the scores of rows {places} are {off} off the best"
        told = np.abs(true - [score for _, score in found]).max()
        return f"query {query}: scores {told} off" if told > 1e-5 else None


def _cosines(block, asked):
    """Of vectors that are of length 1 but for their last digit, with queries."""
    block = np.asarray(block, float)
    found = block @ asked / np.linalg.norm(asked, axis=0)
    return (found.T / np.linalg.norm(block, axis=1)).T


def concepts(kind: str, count: int) -> np.ndarray:
    """Unit vectors of float64, so that the product is the cosine.

    `clustered` has clusters of 20, half of them close enough for the threshold; `full` is `np.random.rand`, where all
    are alike.
    """
    random = np.random.default_rng(6)
    if kind == "full":
        return unit(random.random((count, DIMENSIONS)))
    cluster = np.arange(count) // 20
    centres = unit(random.standard_normal((cluster[-1] + 1, DIMENSIONS)))
    spread = np.where(cluster % 2 == 0, 0.35, 0.65)[:, None]
    noise = unit(random.standard_normal((count, DIMENSIONS)))
    return unit(centres[cluster] + spread * noise)


class Edges(NamedTuple):
    """Rows of source and target, sorted by both, and the strength."""

    source: np.ndarray
    target: np.ndarray
    strength: np.ndarray

    @classmethod
    def of(cls, triples) -> "Edges":
        """From ids, which begin with 1, in any order."""
        source, target, strength = (np.asarray(column) for column in zip(*triples, strict=True))
        order = np.lexsort((target, source))
        return cls(source[order] - 1, target[order] - 1, strength[order].astype(float))

    @classmethod
    def true(cls, kind: str, vectors: np.ndarray) -> "Edges":
        """The right answer; no pair is so near to the threshold that rounding decides."""
        products, threshold = vectors @ vectors.T, THRESHOLDS[kind]
        assert np.abs(products - threshold).min() > 1e-4
        np.fill_diagonal(products, -1.0)
        source, target = np.nonzero(products > threshold)
        return cls(source, target, products[source, target])

    def wrong(self, found: "Edges") -> str | None:
        """Say what is wrong with the edges of a store."""
        if len(found.source) != len(self.source):
            return f"expected {len(self.source)} edges, got {len(found.source)}"
        if (found.source != self.source).any() or (found.target != self.target).any():
            return "they are of other pairs"
        off = np.abs(found.strength - self.strength).max()
        return None if off <= 1e-6 else f"strengths are {off} off"
