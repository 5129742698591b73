"""Names of people stay what they were."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.search.names import known_people, name_people, numbered, photo_of


def test_faces_of_a_photo_have_its_name_and_a_number():
    assert [photo_of(one) for one in ("a/1.jpg#0", "a/1.jpg#12", "a/1.jpg", "a#b.jpg", "a#")] == [
        "a/1.jpg",
        "a/1.jpg",
        "a/1.jpg",
        "a#b.jpg",
        "a#",
    ]
    assert numbered(["x", "y", "x"]).tolist() == [0, 1, 0]


def test_people_of_two_faces_are_known_and_single_ones_are_not():
    before = {"a": "Ann", "b": "Ann", "c": "Cid", "gone": "Dee", "left": "Dee"}
    known, people = known_people(["a", "b", "c", "new"], before)
    assert people == ["Ann", "Dee"]
    assert known.tolist() == [0, 0, -1, -1]


def test_a_person_keeps_the_name_whoever_joins():
    before = {"b": "Ann", "c": "Ann", "a": "Single"}
    names = name_people(["a", "b", "c", "d"], np.zeros(4, int), before)
    assert set(names) == {"Ann"}


def test_faces_that_were_alone_give_the_first_of_their_names():
    names = name_people(["a", "b", "c"], np.zeros(3, int), {"a": "Zoe", "b": "Bob"})
    assert set(names) == {"Bob"}


def test_a_new_name_follows_from_the_first_image_and_is_nobody_elses():
    (first, _) = name_people(["a", "b"], np.array([0, 0]))
    assert first.startswith("person-")
    assert name_people(["a"], np.array([0])) == [first]
    # The earlier clustering gave that name to faces that are not here.
    (other,) = name_people(["a"], np.array([0]), {"x": first, "y": first})
    assert other != first


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)),
    st.lists(st.integers(0, 4), min_size=8, max_size=8),
)
def test_equal_people_have_equal_names_and_others_have_others(old, new):
    before = {face: f"old-{person}" for face, person in old.items()}
    known, _ = known_people("abcdefgh", before)
    # Known people are kept together and apart, as the groupings do.
    people = np.where(known >= 0, known + 100, new)
    names = name_people("abcdefgh", people, before)
    assert len(set(zip(people.tolist(), names, strict=True))) == len(set(people.tolist()))
    for face, name in zip("abcdefgh", names, strict=True):
        if known["abcdefgh".index(face)] >= 0:
            assert name == before[face]
