"""A matrix of numpy, searched exactly."""

import numpy as np
from baseline import Baseline

UNFAIR = "no names, no transactions; the product only, of vectors whose length was made 1 before"


class Numpy(Baseline):
    survives = "-"
    unfair = UNFAIR

    def __init__(self, folder):
        self.file = folder / "vectors.npy"
        if self.file.exists():
            self.vectors = np.load(self.file)

    def store_concepts(self, vectors):
        np.save(self.file, vectors)

    def search(self, vector, k):
        scores = self.vectors @ vector
        best = np.argpartition(scores, -k)[-k:]
        best = best[np.argsort(-scores[best])]
        return list(zip(best.tolist(), scores[best].tolist(), strict=True))
