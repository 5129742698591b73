import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.core.row_ids import HELD_OUT, NEW, chunk_number, row_ids_of
from facemill.transforms.duplicates.left_out import verdicts_of_star
from facemill.transforms.duplicates.stars import MAX_COMPARED, Star, stars
from facemill.transforms.duplicates.verdicts import Member

LEAST = 0.76
ROW_IDS = row_ids_of(chunk_number(NEW, 0, 0), 100).tolist()
HELD_OUT_ID = int(row_ids_of(chunk_number(HELD_OUT, 0, 0), 1)[0])


def member(number: int, area: int = 100, pixels: str | None = None, identity: str = "a") -> Member:
    """The image with a number; it is at that place of a line, see `nearness`."""
    name = f"{number:03d}"
    return Member(ROW_IDS[number], name, identity, pixels or name, area, 1.0)


def nearness(row_id: int, others: list[int]) -> np.ndarray:
    """Copies are at most one place away from each other, like frames of a video."""
    places = {row: place for place, row in enumerate([*ROW_IDS])} | {HELD_OUT_ID: 50}
    away = np.abs(np.array([places[other] for other in others]) - places[row_id])
    return np.maximum(0.0, 1 - 0.2 * away)


def numbers(star: Star) -> list[int]:
    return [int(one.image_id) for one in star.members]


def test_a_chain_is_divided_where_images_are_no_copies_of_the_best():
    chain = [member(number) for number in range(7)]
    found = stars(chain, set(), LEAST, nearness)
    assert [numbers(star) for star in found] == [[0, 1], [2, 3], [4, 5]]
    assert found[0].similarity == {ROW_IDS[1]: pytest.approx(0.8)}


def test_the_best_image_takes_its_copies_first():
    chain = [member(number, area=200 if number == 2 else 100) for number in range(5)]
    found = stars(chain, set(), LEAST, nearness)
    assert [numbers(star) for star in found] == [[2, 1, 3]]


@pytest.mark.moderate
@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_every_member_is_a_copy_of_the_best_whatever_the_order(order, larger):
    component = [member(number, area=200 if number in larger else 100) for number in range(12)]
    whole = stars(component, set(), LEAST, nearness)
    assert stars([component[place] for place in order], set(), LEAST, nearness) == whole
    for star in whole:
        best = star.members[0].row_id
        others = [one.row_id for one in star.members[1:]]
        assert (nearness(best, others) >= LEAST).all()
    taken = [number for star in whole for number in numbers(star)]
    assert len(taken) == len(set(taken))


def test_equal_pixels_stay_together_and_need_no_comparison():
    def never(row_id: int, others: list[int]) -> np.ndarray:
        raise AssertionError

    equal = [member(number, pixels="same") for number in (3, 60, 90)]
    (star,) = stars(equal, set(), LEAST, never)
    assert numbers(star) == [3, 60, 90]
    assert set(star.similarity.values()) == {1.0}


def test_held_out_images_and_those_of_excluded_identities_take_their_copies_first():
    held_out = Member(HELD_OUT_ID, "held", "b", "held", 1, 0.0)
    component = [member(49, area=900), held_out, member(51), member(52), member(53)]
    found = stars(component, {ROW_IDS[53]}, LEAST, nearness)
    assert [[one.image_id for one in star.members] for star in found] == [
        ["held", "049", "051"],
        ["053", "052"],
    ]


def test_an_image_is_compared_with_a_bounded_number_of_others():
    asked: dict[int, int] = {}

    def counted(row_id: int, others: list[int]) -> np.ndarray:
        for other in others:
            asked[other] = asked.get(other, 0) + 1
        return np.zeros(len(others))

    assert stars([member(number) for number in range(60)], set(), LEAST, counted) == []
    assert max(asked.values()) == MAX_COMPARED


def test_verdicts_have_the_similarity_with_the_best_and_the_best_that_with_whom_it_names():
    star = Star(
        [member(0, area=200), member(1), member(2, identity="b")],
        {ROW_IDS[1]: 0.9, ROW_IDS[2]: 0.8},
    )
    found = verdicts_of_star(star, "drop", set())
    assert [found[row].similarity for row in ROW_IDS[:3]] == [0.8, 0.9, 0.8]
    assert [found[row].duplicate_of for row in ROW_IDS[:3]] == ["002", "002", "000"]
