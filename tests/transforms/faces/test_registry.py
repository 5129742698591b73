"""The choice of a face in a photo, and loading detectors by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces import choices, registry
from facemill.transforms.faces.base import Face, choose

POINTS = np.zeros((5, 2), np.float32)


def face(x: float, y: float, side: float, score: float = 0.9) -> Face:
    """A square face around a point."""
    half = side / 2
    return Face((x - half, y - half, x + half, y + half), score, POINTS)


def test_a_photo_without_faces_has_no_chosen_face() -> None:
    choice = choose([], 100, 100)
    assert (choice.face, choice.found, choice.outcome) == (None, 0, "none")


def test_the_only_face_is_chosen_wherever_it_is() -> None:
    only = face(2, 3, 10)
    choice = choose([only], 100, 100)
    assert choice.face is only
    assert choice.outcome == "one"


def test_the_largest_of_equally_central_faces_is_chosen() -> None:
    faces = [face(49.5, 49.5, 20, 0.99), face(49.5, 49.5, 30, 0.6)]
    choice = choose(faces, 100, 100)
    assert choice.face is faces[1]
    assert (choice.found, choice.outcome) == (2, "several")


@pytest.mark.parametrize(("times", "winner"), [(1.9, 0), (2.1, 1)])
def test_halfway_to_a_corner_takes_four_times_the_area(times, winner) -> None:
    faces = [face(49.5, 49.5, 10), face(74.5, 74.5, 10 * times)]
    assert choose(faces, 100, 100).face is faces[winner]


def test_of_equal_weights_the_higher_score_then_the_left_face_is_chosen() -> None:
    left, right = face(39.5, 49.5, 10), face(59.5, 49.5, 10)
    assert choose([right, left], 100, 100).face is left
    surer = face(59.5, 49.5, 10, 0.95)
    assert choose([left, surer], 100, 100).face is surer


@given(
    st.lists(
        st.tuples(st.integers(-20, 120), st.integers(-20, 120), st.integers(1, 60)),
        min_size=1,
        max_size=6,
    ),
    st.randoms(),
)
@settings(deadline=None, max_examples=50)
def test_the_choice_does_not_depend_on_the_order_of_the_faces(boxes, random) -> None:
    faces = [face(*box) for box in boxes]
    shuffled = list(faces)
    random.shuffle(shuffled)
    first, second = choose(faces, 100, 100).face, choose(shuffled, 100, 100).face
    assert first is not None
    assert second is not None
    assert first.box == second.box


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(UsageError, match="one of blazeface, mtcnn, got 'haar'"):
        registry.load("haar")


@pytest.mark.parametrize("name", choices.DETECTORS)
def test_the_error_for_a_missing_package_names_the_extra(name, monkeypatch) -> None:
    import importlib.metadata
    import sys

    def absent(package: str):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    with pytest.raises(UsageError, match=r"pip install 'facemill\[\w+\]'") as caught:
        registry.load(name)
    assert "must have the package" in str(caught.value)


@pytest.mark.parametrize("name", ["blazeface", pytest.param("mtcnn", marks=pytest.mark.slow)])
def test_a_detector_finds_nothing_in_an_empty_photo(name) -> None:
    found = registry.load(name).detect([np.full((120, 90, 3), 128, np.uint8)])
    assert found == [[]]
