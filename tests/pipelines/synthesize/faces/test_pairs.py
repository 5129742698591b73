import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.pipelines.synthesize.faces.pairs import Fold, draw_pairs, format_pairs
from facemill.transforms.core.errors import UsageError


def _images(identities: int, count: int) -> dict[str, range]:
    return {f"id{k:05d}": range(1, count + 1) for k in range(identities)}


def test_the_file_is_laid_out_as_lfw_lays_it_out():
    folds = (
        Fold((("a", 1, 2),), (("a", 1, "b", 3),)),
        Fold((("c", 2, 5),), (("c", 1, "d", 1),)),
    )
    assert format_pairs(folds) == "2\t1\na\t1\t2\na\t1\tb\t3\nc\t2\t5\nc\t1\td\t1\n"


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 6), min_size=4, max_size=24),
    folds=st.integers(1, 4),
    pairs=st.integers(1, 8),
    seed=st.integers(0, 2**64 - 1),
)
def test_pairs_are_genuine_or_impostor_as_listed(counts, folds, pairs, seed):
    images = {f"id{k:05d}": range(1, count + 1) for k, count in enumerate(counts)}
    try:
        drawn = draw_pairs(images, folds, pairs, seed)
    except UsageError:
        return
    seen: dict[str, int] = {}
    assert len(drawn) == folds
    for order, fold in enumerate(drawn):
        assert len(fold.genuine) == len(fold.impostor) == pairs
        assert len(set(fold.genuine)) == len(set(fold.impostor)) == pairs
        for name, i, j in fold.genuine:
            assert 1 <= i < j <= len(images[name])
            assert seen.setdefault(name, order) == order
        for one, i, other, j in fold.impostor:
            assert one != other
            assert i in images[one]
            assert j in images[other]
            assert seen.setdefault(one, order) == seen.setdefault(other, order) == order


def test_all_possible_pairs_can_be_drawn():
    (fold,) = draw_pairs(_images(2, 3), 1, 6, 0)
    assert fold.genuine == tuple(
        (name, i, j) for name in ("id00000", "id00001") for i, j in ((1, 2), (1, 3), (2, 3))
    )
    assert len(set(fold.impostor)) == 6


@pytest.mark.parametrize(
    ("identities", "count", "folds", "reason"),
    [
        (2, 3, 1, "a fold of 2 identities and 6 images has 6 and 9"),
        (40, 1, 1, "a fold of 40 identities and 40 images has 0 and 780"),
        (1, 9, 1, "a fold of 1 identities and 9 images has 36 and 0"),
        (2, 9, 2, "a fold of 1 identities and 9 images has 36 and 0"),
    ],
)
def test_too_few_identities_or_images_are_refused(identities, count, folds, reason):
    with pytest.raises(UsageError, match=reason):
        draw_pairs(_images(identities, count), folds, 7, 0)


def test_another_seed_draws_other_pairs():
    images = _images(12, 5)
    assert draw_pairs(images, 2, 5, 1) == draw_pairs(images, 2, 5, 1)
    assert draw_pairs(images, 2, 5, 1) != draw_pairs(images, 2, 5, 2)
