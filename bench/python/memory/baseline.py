"""What every store in this bench does, and the list of them."""

from importlib import import_module
from pathlib import Path

import numpy as np
from data import PASSES, QUERIES, Edges


class Baseline:
    """One store in one folder; what it cannot do raises `NotImplementedError` with the reason.

    Its ids begin with 1 and count up.

    Attributes
    ----------
    survives
        What a write is safe from once its call is done: `-` (nothing), `process` (its end).
    unfair
        Why its figures do not compare one to one with the others; empty if they do.
    searches
        How many searches are timed in a process.
    partly
        Whether a graph of all concepts takes it minutes: then it is measured on a part of them, and scaled.
    """

    survives = "process"
    unfair = ""
    searches = QUERIES * PASSES
    partly = False

    def __init__(self, folder: Path) -> None:
        """Open the store, and make it if it is not there."""
        raise NotImplementedError

    def store_each(self, experiences: list) -> list[int]:
        """Store episodes of `data.CONTEXT`, now, a call each, each safe when its call is done."""
        raise NotImplementedError("it keeps vectors only")

    def store_batch(self, rows: list[dict]) -> list[int]:
        """Store episodes in one call, or one transaction."""
        raise NotImplementedError("it keeps vectors only")

    def latest(self, limit: int) -> list:
        """The latest episodes of `data.CONTEXT`, as the store gives them; each has an `id`."""
        raise NotImplementedError("it keeps vectors only")

    def decode(self, episode: object) -> object:
        """The experience of an episode that was given."""
        raise NotImplementedError("it keeps vectors only")

    def store_concepts(self, vectors: np.ndarray) -> None:
        """Keep a concept for each row, with that row as its embedding."""
        raise NotImplementedError("it searches no vectors")

    def search(self, vector: np.ndarray, k: int) -> list[tuple[int, float]]:
        """The rows with the highest cosines, and these, the highest first."""
        raise NotImplementedError("it searches no vectors")

    def compact(self) -> None:
        """Make what a first search reads; not timed."""
        raise NotImplementedError("it has nothing to compact")

    def graph(self, threshold: float) -> int:
        """Relate all concepts that are more alike than that; the number of relationships."""
        raise NotImplementedError("it keeps no relationships")

    def edges(self, count: int) -> Edges:
        """The relationships of the first `count` concepts; not timed."""
        raise NotImplementedError("it keeps no relationships")

    def close(self) -> None:
        """Let the store go; all is written."""


# Imported one by one, so that a process pays for, and needs, only the store that it runs.
BASELINES = {
    "siltstone": "package_baseline:Siltstone",
    "godly_ai": "godly_ai_baseline:GodlyAi",
    "sqlite3_same": "sqlite_baseline:Same",
    "sqlite3_lean": "sqlite_baseline:Lean",
    "numpy": "numpy_baseline:Numpy",
    "faiss": "faiss_baseline:Faiss",
    "usearch": "usearch_baseline:Usearch",
    "sqlite_vec": "sqlite_vec_baseline:SqliteVec",
}


def load(name: str) -> type[Baseline]:
    """Import the class of the baseline `name`."""
    module, _, attribute = BASELINES[name].partition(":")
    return getattr(import_module(module), attribute)
