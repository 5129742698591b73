"""Which candidates of a crowded image could be its copies, told from what the crowd shares.

People before one background are candidates of each other by the hundred, and nearly all of them
register well: registration and a close comparison of each pair would cost seconds. What all
candidates of an image share, the scene and the usual face, says nothing about copies. So the mean
of the candidates is taken from each of them, and what remains of two copies is alike, while what
remains of two people is not. This needs no registration, since one camera took them all.
"""

import numpy as np

from facemill.transforms.duplicates.coarse_evidence import FACE

# An owner with so many candidates is crowded; fewer have no mean that says much.
CROWD = 16
# If half of the candidates resemble an image that much, they are its copies, and no crowd.
_COPIES = 0.94

# Thumbnails are compared at 16x16, where small shifts do not count: over the contrast of 5x5
# pixels, to which a share of the image's contrast and a grey level are added.
_SIDE, _REACH = 16, 2
_FLOOR_SHARE, _FLOOR_LEVELS = 0.3, 1.0
# Steps of one unit of contrast. Whole numbers make all sums exact, so that the result does not
# depend on the order of the pairs.
_STEPS = 64
# Mean square, in units of contrast, below which a face has no structure to compare.
_FLAT = 0.04


def likeness(
    first: np.ndarray, second: np.ndarray, owner: np.ndarray, owns_first: np.ndarray
) -> np.ndarray:
    """Correlations of pairs of thumbnails without what the candidates of their owner share.

    Args:
        first: uint8 [N, 64, 64], grey.
        second: uint8 [N, 64, 64].
        owner: [N], the owner of each pair, whose pairs lie together; see `budget.owners`.
        owns_first: bool [N], whether the first image of a pair is the owner.

    Returns:
        float64 [N] in [-1, 1]; NaN for pairs of owners that are not crowded by other photos, and 1
        for images without structure.
    """
    found = np.full(len(owner), np.nan)
    starts = np.flatnonzero(np.r_[len(owner) > 0, owner[1:] != owner[:-1]])
    counts = np.diff(np.r_[starts, len(owner)])
    starts, counts = starts[counts >= CROWD], counts[counts >= CROWD]
    for start, end in zip(starts.tolist(), (starts + counts).tolist(), strict=True):
        mine = owns_first[start:end, None, None]
        faces = _faces(
            np.concatenate(
                [
                    (first if owns_first[start] else second)[start : start + 1],
                    np.where(mine, second[start:end], first[start:end]),
                ]
            )
        )
        own, others = faces[:1], faces[1:]
        flat = _is_flat(others) | _is_flat(own)
        if np.median(np.where(flat, 1, _correlation(own, others))) >= _COPIES:
            continue
        shared = others.sum(axis=0)
        values = _correlation(own * len(others) - shared, others * len(others) - shared)
        found[start:end] = np.where(flat, 1, values)
    return found


def _faces(thumbnails: np.ndarray) -> np.ndarray:
    """The middle of thumbnails, over the local contrast: whole numbers in float64 [N, P]."""
    step, count = thumbnails.shape[1] // _SIDE, len(thumbnails)
    rows = _added([thumbnails[:, shift::step].astype(np.uint16) for shift in range(step)])
    small = _added([rows[:, :, shift::step] for shift in range(step)]).astype(np.float32) / step**2
    high = small - _local_mean(small)
    square = high * high
    contrast = np.sqrt(square.reshape(count, -1).mean(axis=1))[:, None, None]
    values = high / (np.sqrt(_local_mean(square)) + (_FLOOR_SHARE * contrast + _FLOOR_LEVELS))
    left, top, right, bottom = (round(share * _SIDE) for share in FACE)
    face = np.rint(_STEPS * values[:, top:bottom, left:right])
    return face.reshape(count, -1).astype(np.float64)


def _local_mean(images: np.ndarray) -> np.ndarray:
    """float32 [N, S, S], the mean around each pixel."""
    width = 2 * _REACH + 1
    padded = np.pad(images, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)), "edge")
    side = images.shape[1]
    rows = _added([padded[:, shift : shift + side] for shift in range(width)])
    return _added([rows[:, :, shift : shift + side] for shift in range(width)]) / width**2


def _added(parts: list[np.ndarray]) -> np.ndarray:
    """The sum of arrays of one shape, in their order, so that rounding is always the same."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def _is_flat(faces: np.ndarray) -> np.ndarray:
    return (faces * faces).mean(axis=1) < _FLAT * _STEPS**2


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row of the second [N, P] with the first [1, P]: float64 [N]."""
    a, b = (one * one.shape[1] - one.sum(axis=1, keepdims=True) for one in (first, second))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(b)), where=norms > 0)
