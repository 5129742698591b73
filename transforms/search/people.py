"""Groups faces into people, from their nearest neighbors; nobody has two faces of one photo.

Two methods: components that a chain of similar faces cannot join, and Chinese whispers. Both give
every face the number of a person, go through edges and faces in an order that follows from scores
and names alone, and keep known people apart from each other.
"""

from dataclasses import dataclass

import numpy as np

from facemill.transforms.search.graph import Graph
from facemill.transforms.search.methods import COMPONENTS

# Passes after which nothing changes, as a rule; a bound where something always does.
_PASSES = 20
NOBODY = -1
# The mean cosine of all pairs of a person lies below that of pairs which are near enough for an
# edge: on LFW and ORL, groups are best for any threshold from 0.55 to 0.7 if it may be this much
# lower, see docs/matching.md.
BELOW = 0.1


@dataclass(frozen=True)
class Faces:
    """What is known of the faces of a graph.

    Attributes:
        vectors: float32 [N, D], of length 1.
        photos: int64 [N], the number of the photo that each face is in.
        known: int64 [N], number of the known person that a face belongs to for good, or -1.
    """

    vectors: np.ndarray
    photos: np.ndarray
    known: np.ndarray


def components(graph: Graph, faces: Faces, least: float) -> np.ndarray:
    """Joins two groups at each edge, the nearest first, if they are near on average.

    This is average linkage (UPGMA: Sokal and Michener, 1958) along the edges of a sparse graph.
    The mean cosine of all pairs of two groups is the product of their sums of vectors, so it costs
    one product. Passes are repeated until none joins anything.

    Args:
        graph: of the faces.
        faces: what is known of them.
        least: mean cosine that two groups must have to be joined.

    Returns:
        int64 [N], the person of each face: the number of its first face.
    """
    groups = _Groups(faces)
    edges = list(zip(graph.edges["one"].tolist(), graph.edges["other"].tolist(), strict=True))
    for _ in range(_PASSES):
        left = []
        joined = False
        for one, other in edges:
            a, b = groups.find(one), groups.find(other)
            if a == b:
                continue
            if groups.may_join(a, b) and groups.similarity(a, b) >= least:
                groups.join(a, b)
                joined = True
            else:
                left.append((one, other))
        edges = left
        if not joined:
            break
    return np.array([groups.find(face) for face in range(graph.count)], np.int64)


def whispers(graph: Graph, faces: Faces, threshold: float) -> np.ndarray:
    """Gives each face the person that its neighbors' weights favor, until nothing changes.

    Chinese whispers (Biemann, TextGraphs 2006), with faces in a fixed order in place of a random
    one: those with the nearest neighbors first. A neighbor weighs as much as its score is above the
    threshold. A face never takes the person of another face of its photo, and faces of known people
    keep theirs.

    Args:
        graph: of the faces.
        faces: what is known of them; vectors are not needed.
        threshold: least score of an edge that weighs anything.

    Returns:
        See `components`.
    """
    count = graph.count
    starts, neighbors, weights = _adjacency(graph, threshold)
    labels = _first_of_known(faces.known)
    same_photo = _others_of_photos(faces.photos)
    free = faces.known < 0
    order = list(dict.fromkeys(np.stack([graph.edges["one"], graph.edges["other"]], 1).flat))
    order = [face for face in map(int, order) if free[face]]
    for _ in range(_PASSES):
        changed = False
        for face in order:
            some = slice(starts[face], starts[face + 1])
            favor: dict[int, float] = {}
            for neighbor, weight in zip(neighbors[some], weights[some], strict=True):
                label = int(labels[neighbor])
                favor[label] = favor.get(label, 0.0) + weight
            for other in same_photo.get(face, ()):
                favor.pop(int(labels[other]), None)
            # Equal weights go to the present person, then to the smaller number.
            here = int(labels[face])
            best = max(favor, key=lambda label: (favor[label], label == here, -label), default=here)
            if best != here:
                labels[face] = best
                changed = True
        if not changed:
            break
    return _by_first_face(labels, count)


def bounded_people(graph: Graph, faces: Faces, threshold: float, method: str) -> np.ndarray:
    """The people of a graph.

    Args:
        graph: of the faces; its edges have the threshold at least.
        faces: what is known of them.
        threshold: cosine from which two faces may be one person.
        method: one of `methods.METHODS`; see `components` and `whispers`.

    Returns:
        int64 [N], the person of each face: the number of its first face.
    """
    if method == COMPONENTS:
        return components(graph, faces, threshold - BELOW)
    return whispers(graph, faces, threshold)


class _Groups:
    """Disjoint groups of faces, each with the sum of its vectors and the photos that it holds."""

    def __init__(self, faces: Faces) -> None:
        count = len(faces.vectors)
        self._root = list(range(count))
        self._sums = faces.vectors.astype(np.float64)
        self._sizes = np.ones(count, np.int64)
        # Photos with one face can never be the cause of a refusal.
        counts = np.bincount(faces.photos, minlength=1)
        crowded = np.flatnonzero(counts[faces.photos] > 1).tolist()
        self._photos = {face: {int(faces.photos[face])} for face in crowded}
        self._known = {
            face: int(faces.known[face]) for face in np.flatnonzero(faces.known >= 0).tolist()
        }
        first = _first_of_known(faces.known)
        for face in list(self._known):
            a, b = self.find(face), self.find(int(first[face]))
            if a != b:
                self.join(a, b)

    def find(self, face: int) -> int:
        """The first face of the group that a face is in."""
        root = self._root
        while root[face] != face:
            root[face] = root[root[face]]
            face = root[face]
        return face

    def may_join(self, a: int, b: int) -> bool:
        """Whether two groups share no photo and are not two known people."""
        if a in self._known and b in self._known and self._known[a] != self._known[b]:
            return False
        one, other = self._photos.get(a), self._photos.get(b)
        return not (one and other and not one.isdisjoint(other))

    def similarity(self, a: int, b: int) -> float:
        """The mean cosine of the pairs of two groups."""
        return float(self._sums[a] @ self._sums[b]) / (self._sizes[a] * self._sizes[b])

    def join(self, a: int, b: int) -> None:
        """Makes one group of two."""
        kept, gone = min(a, b), max(a, b)
        self._root[gone] = kept
        self._sums[kept] += self._sums[gone]
        self._sizes[kept] += self._sizes[gone]
        if gone in self._photos:
            self._photos.setdefault(kept, set()).update(self._photos.pop(gone))
        if gone in self._known:
            self._known.setdefault(kept, self._known.pop(gone))


def _first_of_known(known: np.ndarray) -> np.ndarray:
    """For each face of a known person that person's first face, for others the face itself."""
    labels = np.arange(len(known))
    faces = np.flatnonzero(known >= 0)
    _, first, which = np.unique(known[faces], return_index=True, return_inverse=True)
    labels[faces] = faces[first][which]
    return labels


def _adjacency(graph: Graph, threshold: float) -> tuple[list[int], list[int], list[float]]:
    """Neighbors of each face, and the weights of the edges: of face i those from starts[i] on."""
    one, other = graph.edges["one"], graph.edges["other"]
    ends = np.concatenate([one, other])
    order = np.argsort(ends, kind="stable")
    neighbors = np.concatenate([other, one])[order]
    above = graph.edges["score"].astype(np.float64) - threshold
    weights = np.maximum(np.tile(above, 2)[order], 0.0)
    starts = np.searchsorted(ends[order], np.arange(graph.count + 1))
    return starts.tolist(), neighbors.tolist(), weights.tolist()


def _others_of_photos(photos: np.ndarray) -> dict[int, list[int]]:
    """For each face in a photo of several, the others."""
    counts = np.bincount(photos, minlength=1)
    crowded = np.flatnonzero(counts[photos] > 1)
    members: dict[int, list[int]] = {}
    for face in crowded.tolist():
        members.setdefault(int(photos[face]), []).append(face)
    return {face: [o for o in some if o != face] for some in members.values() for face in some}


def _by_first_face(labels: np.ndarray, count: int) -> np.ndarray:
    """The same people, each by the number of its first face."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first[which] if count else np.zeros(0, np.int64)
