import cv2
import numpy as np

from facemill.transforms.duplicates import crowds
from facemill.transforms.duplicates.budget import MIN_LIKENESS

_PEOPLE = 20


def _thumbnails(seed: int = 0) -> np.ndarray:
    """Faces of other structure before one background: uint8 [20, 64, 64]."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 200, (_PEOPLE + 1, 12, 12)).astype(np.float32)
    scene, *faces = (cv2.resize(one, (64, 64), interpolation=cv2.INTER_CUBIC) for one in coarse)
    oval = cv2.ellipse(np.zeros((64, 64), np.float32), (32, 36), (16, 20), 0, 0, 360, 1, -1)
    # Two thirds of a face is that of everybody.
    usual = np.mean(faces, axis=0) + scene
    mixed = [scene * (1 - oval) + (usual * 0.6 + face * 0.3) * oval for face in faces]
    return np.clip(np.stack(mixed), 0, 255).astype(np.uint8)


def _of_one_owner(
    first: np.ndarray, second: np.ndarray, owns_first: np.ndarray | None = None
) -> np.ndarray:
    count = len(first)
    owns_first = np.ones(count, bool) if owns_first is None else owns_first
    return crowds.likeness(first, second, np.full(count, 7, np.uint64), owns_first)


def test_a_copy_stands_out_among_people_before_one_background() -> None:
    people = _thumbnails()
    noise = np.random.default_rng(1).normal(0, 3, (64, 64))
    copy = np.clip(people[0] * 0.8 + 10 + noise, 0, 255).astype(np.uint8)
    others = np.concatenate([people[1:], copy[None]])
    found = _of_one_owner(np.repeat(people[:1], _PEOPLE, axis=0), others)
    assert found[-1] > 0.9
    assert (found[:-1] < MIN_LIKENESS).all()


def test_likeness_does_not_depend_on_the_order_of_pairs_or_of_their_images() -> None:
    people = _thumbnails()
    owner, others = np.repeat(people[:1], _PEOPLE - 1, axis=0), people[1:]
    found = _of_one_owner(owner, others)
    order = np.random.default_rng(2).permutation(len(others))
    swapped = np.arange(len(others)) % 2 == 0
    ends = (
        np.where(swapped[:, None, None], *pair)[order]
        for pair in ((others, owner), (owner, others))
    )
    assert np.array_equal(_of_one_owner(*ends, ~swapped[order]), found[order])
    # Nor on the pairs of other owners.
    both = crowds.likeness(
        np.concatenate([owner, others[:3]]),
        np.concatenate([others, others[1:4]]),
        np.r_[np.zeros(len(others)), np.ones(3)],
        np.ones(len(others) + 3, bool),
    )
    assert np.array_equal(both[: len(others)], found)
    assert np.isnan(both[len(others) :]).all()


def test_what_is_surrounded_by_its_copies_is_not_crowded() -> None:
    people = _thumbnails()
    noise = np.random.default_rng(3).normal(0, 2, (_PEOPLE, 64, 64))
    copies = np.clip(people[0] + noise, 0, 255).astype(np.uint8)
    assert np.isnan(_of_one_owner(np.repeat(people[:1], _PEOPLE, axis=0), copies)).all()


def test_images_without_structure_are_not_crowded() -> None:
    flat = np.full((_PEOPLE, 64, 64), 3, np.uint8)
    flat[:, 20:30, 20:30] += np.arange(_PEOPLE, dtype=np.uint8)[:, None, None] % 2
    assert np.isnan(_of_one_owner(flat, flat[::-1])).all()


def test_few_candidates_are_no_crowd() -> None:
    few = _thumbnails()[: crowds.CROWD]
    found = _of_one_owner(np.repeat(few[:1], len(few) - 1, axis=0), few[1:])
    assert np.isnan(found).all()
    none = np.empty((0, 64, 64), np.uint8)
    assert _of_one_owner(none, none).shape == (0,)
