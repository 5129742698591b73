"""Candidates from an index that looks at a part of the gallery: faster, and some are missed.

An index is built of one shard in one thread with a fixed seed, so the same shard has the same
index. Candidates are scored and ordered as those of the exact search are.
"""

import math

import numpy as np

from facemill.transforms.search.exact import Candidates, one_thread
from facemill.transforms.search.methods import HNSW, IVF

# Of IVF: rows of each list for the training, lists that a probe looks into: 1 of so many, and some
# at least.
_TRAINED, _PROBED, _LEAST_PROBED = 64, 16, 8
# Of HNSW: neighbors of a node, and how many candidates are kept while it is built and searched.
_NEIGHBORS, _BUILDING, _SEARCHING = 32, 80, 128


def build(method: str, gallery: np.ndarray) -> Candidates | None:
    """What finds candidates in a gallery; None for the exact search.

    Args:
        method: one of `methods.SEARCHES`.
        gallery: float32 [G, D], of length 1, G at least 1; the index holds a copy.
    """
    if method == IVF:
        return _ivf(gallery)
    return _hnsw(gallery) if method == HNSW else None


def _ivf(gallery: np.ndarray) -> Candidates:
    """Lists around centers of k-means, of which the nearest are searched."""
    faiss = one_thread()
    rows, size = gallery.shape
    lists = max(1, math.isqrt(rows))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 1
    # It would print a warning where rows are few.
    index.cp.min_points_per_centroid = 1
    index.train(np.ascontiguousarray(gallery[:: max(1, rows // (lists * _TRAINED))]))
    index.add(gallery)
    index.nprobe = min(lists, max(_LEAST_PROBED, lists // _PROBED))

    def find(probes: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        one_thread()
        return index.search(probes, wanted)

    return find


def _hnsw(gallery: np.ndarray) -> Candidates:
    """A graph of neighbors (Malkov and Yashunin, 2016), along which the search walks."""
    faiss = one_thread()
    index = faiss.IndexHNSWFlat(gallery.shape[1], _NEIGHBORS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILDING
    index.add(gallery)

    def find(probes: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        one_thread()
        given = faiss.SearchParametersHNSW(efSearch=max(_SEARCHING, 2 * wanted))
        return index.search(probes, wanted, params=given)

    return find
