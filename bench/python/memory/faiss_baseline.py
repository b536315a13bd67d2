"""FAISS's flat index, exact, on one core."""

import faiss
from numpy_baseline import UNFAIR
from baseline import Baseline


class Faiss(Baseline):
    survives = "-"
    unfair = UNFAIR

    def __init__(self, folder):
        faiss.omp_set_num_threads(1)
        file = folder / "vectors.faiss"
        self.file = str(file)
        if file.exists():
            self.index = faiss.read_index(self.file)

    def store_concepts(self, vectors):
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, self.file)

    def search(self, vector, k):
        scores, rows = self.index.search(vector[None], k)
        return list(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
