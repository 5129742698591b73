"""Pairs of near hashes without comparing all with all.

A hash is cut into bands. Two hashes within 31 bits of each other have at least one of 16 bands
in which they differ by at most one bit (pigeonhole), and there they meet: multi-index hashing,
Norouzi, Punjani and Fleet, CVPR 2012, with a search radius of one bit in each band. Pairs
further apart, up to `RADIUS`, are found with a probability that falls with the distance.
"""

import numpy as np

from transforms.duplicates.hashing import HASH_BITS

BANDS = 16
RADIUS = 40
# In LFW nothing within this many bits and correlation is two photos; see docs/duplicates.md.
MIN_CORRELATION = 0.97

_BAND_BITS = HASH_BITS // BANDS
# A bucket of more hashes than this is compared along its sorted order only, each hash with so
# many that follow: plain walls and black frames must not bring the all-pairs comparison back.
MAX_BUCKET = 2048
_WINDOW = 64


def near_pairs(hashes: np.ndarray, band: int, radius: int = RADIUS) -> np.ndarray:
    """Pairs within `radius` bits that this band is the first to bring together.

    Args:
        hashes: uint8 [N, 32].
        band: in [0, 16).
        radius: largest Hamming distance.

    Returns:
        int64 [P, 2], first < second, in lexicographic order. A pair comes from one band only.
    """
    if len(hashes) < 2:
        return np.empty((0, 2), np.int64)
    words = hashes.view(">u2").astype(np.uint16)
    keys = words[:, band]
    found = [np.empty((0, 2), np.int64)]
    # Equal but for one bit means equal once that bit is dropped; all 16 choices also cover
    # equality itself.
    for bit in range(_BAND_BITS):
        masked = keys & ~np.uint16(1 << bit)
        order = np.lexsort((*words.T[::-1], masked))
        found.append(_bucket_pairs(order, masked[order], hashes, radius))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[_first_band(words[pairs[:, 0]] ^ words[pairs[:, 1]]) == band]


def hamming(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Differing bits of uint8 [N, 32] against the same shape: int64 [N]."""
    return np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)


def _first_band(differing: np.ndarray) -> np.ndarray:
    """Index of the first word with at most one bit set, of uint16 [P, 16]."""
    return np.argmax(np.bitwise_count(differing) <= 1, axis=1)


def _bucket_pairs(
    order: np.ndarray, keys: np.ndarray, hashes: np.ndarray, radius: int
) -> np.ndarray:
    """Near pairs between equal neighbors of a sorted order: int64 [P, 2], first < second."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    # How far ahead each place has to look within its bucket.
    reach = np.repeat(starts + sizes, sizes) - np.arange(len(keys)) - 1
    crowded = np.repeat(sizes > MAX_BUCKET, sizes)
    reach = np.where(crowded, np.minimum(reach, _WINDOW), reach)
    found = []
    active = np.flatnonzero(reach > 0)
    step = 1
    while len(active):
        a, b = order[active], order[active + step]
        close = hamming(hashes[a], hashes[b]) <= radius
        found.append(np.stack([a[close], b[close]], axis=1))
        step += 1
        active = active[reach[active] >= step]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
    return np.sort(pairs, axis=1)
