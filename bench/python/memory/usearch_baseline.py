"""USearch's exact search of the matrix that numpy keeps: its index is built for what is not exact."""

from numpy_baseline import Numpy
from usearch.index import MetricKind, search


class Usearch(Numpy):
    def search(self, vector, k):
        found = search(self.vectors, vector, k, MetricKind.IP, exact=True, threads=1)
        return list(zip(found.keys.tolist(), (1 - found.distances).tolist(), strict=True))
