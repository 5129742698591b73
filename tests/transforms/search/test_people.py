"""Grouping faces: chains do not join people, photos keep faces apart, order does not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.search.graph import EDGE, Graph
from facemill.transforms.search.methods import METHODS
from facemill.transforms.search.people import NOBODY, Faces, bounded_people
from tests.embedding_sets import draw

THRESHOLD = 0.6


def graph_of(vectors: np.ndarray, photos: np.ndarray, threshold: float = THRESHOLD) -> Graph:
    scores = vectors @ vectors.T
    one, other = np.nonzero(scores >= threshold)
    edges = np.empty(len(one), EDGE)
    edges["one"], edges["other"], edges["score"] = one, other, scores[one, other]
    return Graph.of(len(vectors), edges, photos)


def group(vectors, method, photos=None, known=None, threshold=THRESHOLD) -> np.ndarray:
    count = len(vectors)
    photos = np.arange(count) if photos is None else np.asarray(photos)
    known = np.full(count, NOBODY) if known is None else np.asarray(known)
    graph = graph_of(vectors, photos, threshold)
    return bounded_people(graph, Faces(vectors, photos, known), threshold, method)


def partition(people: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(people == one).tolist()) for one in np.unique(people)}


def arc(degrees) -> np.ndarray:
    """Unit vectors of the plane."""
    angles = np.radians(np.asarray(degrees, float))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_people_far_apart_are_found(method):
    people = group(draw(1, 6, 5, 32, 0.2), method)
    assert people.tolist() == np.repeat(np.arange(0, 30, 5), 5).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_a_chain_of_similar_faces_does_not_join_its_ends(method):
    # Neighbors are near (cosine 0.98), the ends opposite.
    people = group(arc(range(0, 190, 10)), method, threshold=0.9)
    assert people[0] != people[-1]
    assert len(np.unique(people)) >= 3


@pytest.mark.parametrize("method", METHODS)
def test_faces_of_one_photo_are_two_people(method):
    vectors = np.repeat(arc([0, 3]), 3, axis=0)
    people = group(vectors, method, photos=[0, 0, 1, 2, 2, 3])
    assert people[0] != people[1]
    assert people[3] != people[4]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS))
def test_no_person_has_two_faces_of_a_photo_and_known_people_stay_apart(seed, method):
    rng = np.random.default_rng(seed)
    vectors = draw(seed, 4, 6, 4, 0.8)
    photos = rng.integers(12, size=24)
    # Known people never have two faces of a photo either.
    known = np.full(24, NOBODY)
    for face in range(24):
        one = int(rng.integers(-6, 3))
        if one >= 0 and not np.any((known == one) & (photos == photos[face])):
            known[face] = one
    people = group(vectors, method, photos, known, threshold=0.3)
    for members in partition(people):
        some = sorted(members)
        assert len({photos[face] for face in some}) == len(some)
        assert len({known[face] for face in some} - {NOBODY}) <= 1
    for one in range(3):
        assert len(np.unique(people[known == one])) <= 1
    # The number of a person is that of the first face.
    assert all(people[face] <= face for face in range(24))
    assert (people[people] == people).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS))
def test_the_order_of_edges_does_not_matter(seed, method):
    vectors = draw(seed, 4, 6, 4, 0.8)
    photos = np.arange(24)
    graph = graph_of(vectors, photos, 0.3)
    shuffled = np.random.default_rng(seed).permutation(graph.edges)
    flip = shuffled.copy()
    flip["one"], flip["other"] = shuffled["other"], shuffled["one"]
    again = Graph.of(24, np.concatenate([flip, shuffled]), photos)
    assert again.edges.tobytes() == graph.edges.tobytes()
    faces = Faces(vectors, photos, np.full(24, NOBODY))
    one, two = (bounded_people(some, faces, 0.3, method) for some in (graph, again))
    assert one.tolist() == two.tolist()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_groups_are_near_on_average_and_no_edge_is_left_that_would_join_them(seed):
    vectors = draw(seed, 5, 6, 6, 0.7)
    photos = np.arange(30)
    people = group(vectors, "components", photos, threshold=0.5)
    graph = graph_of(vectors, photos, 0.5)
    for one, other in zip(graph.edges["one"], graph.edges["other"], strict=True):
        a, b = (vectors[people == people[face]].astype(float) for face in (one, other))
        if people[one] != people[other]:
            assert (a @ b.T).mean() < 0.5 + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_a_graph_without_edges_leaves_everyone_alone(method):
    assert group(arc([0, 120, 240]), method).tolist() == [0, 1, 2]
    assert group(arc([])[:0].reshape(0, 2), method).tolist() == []
