"""A bound on the comparisons of images that many candidates resemble.

Photos of many people before one background are all candidates of each other. A copy is nearly
always among the candidates with the nearest hashes. So these are compared first, and an image whose
nearest candidates are all other photos is not compared further.

Each pair belongs to one of its two images, its owner, by a hash of both, so a pair of two crowded
images is counted once. All pairs of an owner are decided together: what is compared depends on the
set of the candidates alone, and not on how workers divide them.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.duplicates.candidates import PairRows

# After so many candidates that only a close comparison could tell apart, or so many failures of
# any kind, an image is not compared further. Whole images and variants are counted apart.
MAX_CLOSE_FAILURES = 2
MAX_FAILURES = 6
# A crowded image, whose candidates are compared in the order of their likeness, has fewer failures,
# and candidates below that likeness are not compared; see `crowds` and docs/duplicates.md.
MAX_CROWD_FAILURES = 2
MIN_LIKENESS = 0.6
# More candidates of an image than that are not kept, even if all others are its copies.
MAX_CANDIDATES = 64

_PAIRS_PER_GROUP = 1 << 16
_CONFIRM_CHUNK = 512
_FIRST_SALT, _PAIR_SALT, _OWNER_SALT = 50, 51, 52


def by_owner(candidates: PairRows, total: int) -> Iterable[tuple[int, PairRows]]:
    """Candidate pairs by the group of their owner.

    Args:
        candidates: of a search.
        total: how many images there are.
    """
    pairs = candidates.array
    groups = group_count(total, _PAIRS_PER_GROUP)
    return PairRows.divide(pairs, splitmix64(owners(pairs), _OWNER_SALT) % np.uint64(groups))


def nearest_of_owners(group: tuple[int, Iterable[PairRows]]) -> Iterator[PairRows]:
    """The nearest candidates of each owner, in elements that a worker confirms at a time."""
    yield from chunks(nearest(PairRows.join(group[1])))


def owners(pairs: np.ndarray) -> np.ndarray:
    """The image of each pair that its comparison is counted for: uint64 [N].

    Args:
        pairs: PAIR [N].
    """
    low, high = _ends(pairs)
    return np.where(_pair_hash(low, high) >> np.uint64(63) == 0, low, high)


def nearest(pairs: np.ndarray) -> np.ndarray:
    """At most `MAX_CANDIDATES` pairs of each owner, the nearest first, in an order of their own.

    Where each of two images has a window that is near one of the other, the nearer one counts.

    Args:
        pairs: PAIR [N], all that the owners have.
    """
    owner = owners(pairs)
    low, high = _ends(pairs)
    # What follows the hash only orders the two directions of a pair and its variants.
    tie = (pairs["first"], pairs["variant"], _pair_hash(low, high))
    order = np.lexsort((*tie, pairs["distance"], pairs["variant"] > 0, owner))
    pairs = pairs[order]
    if (pairs["variant"] > 0).any():
        pairs = pairs[_first_of_pairs(pairs)]
    _, rank = _ranks(pairs)
    return pairs[rank < MAX_CANDIDATES]


def chunks(pairs: np.ndarray) -> Iterator[PairRows]:
    """Divides the pairs of `nearest` into elements of some hundred; an owner is in one element."""
    if not len(pairs):
        return
    owner = owners(pairs)
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    # The number of the element in which an owner starts.
    _, firsts = np.unique(starts // _CONFIRM_CHUNK, return_index=True)
    for part in np.split(pairs, starts[firsts][1:]):
        yield PairRows.of(part)


def compare_within_budget(
    pairs: np.ndarray,
    compared: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    likeness: np.ndarray | None = None,
) -> np.ndarray:
    """Compares pairs, the nearest of each owner before the others, until other photos fail.

    Whole images come before variants, and what is a copy as a whole is not compared again.

    Args:
        pairs: PAIR [N] of `nearest`, with all pairs of their owners.
        compared: takes positions of pairs, and returns whether each is a copy, and whether only
            a close comparison showed that it is none: bool each.
        likeness: float64 [N], of `crowds.likeness`; NaN for pairs to compare by their distance.

    Returns:
        bool [N], whether each pair was compared.
    """
    owner, rank = _ranks(pairs)
    most = np.full(len(pairs), MAX_FAILURES)
    possible = np.ones(len(pairs), bool)
    if likeness is not None:
        crowded = np.flatnonzero(~np.isnan(likeness))
        # A list is crowded as a whole, so its places are given anew; equal ones keep their order.
        rank[crowded[np.lexsort((-likeness[crowded], owner[crowded]))]] = rank[crowded]
        most[owner[crowded]] = MAX_CROWD_FAILURES
        possible[crowded] = likeness[crowded] >= MIN_LIKENESS
    is_variant = pairs["variant"] > 0
    block = rank // MAX_CLOSE_FAILURES
    # Blocks of whole images come first.
    block[is_variant] += int(block.max()) + 1 if len(block) else 0
    close_failures = np.zeros(len(pairs), np.int64)
    failures = np.zeros(len(pairs), np.int64)
    done = np.zeros(len(pairs), bool)
    keys = _numbers_of_pairs(pairs) if is_variant.any() else owner
    for number in range(int(block.max()) + 1 if len(block) else 0):
        left = (close_failures < MAX_CLOSE_FAILURES) & (failures < most)
        some = np.flatnonzero((block == number) & left[owner] & possible & ~done)
        if not len(some):
            continue
        done[some] = True
        same, close = compared(some)
        np.add.at(failures, owner[some[~same]], 1)
        np.add.at(close_failures, owner[some[~same & close]], 1)
        if same.any() and not is_variant[some[0]]:
            done |= is_variant & np.isin(keys, keys[some[same]])
    return done


def _first_of_pairs(pairs: np.ndarray) -> np.ndarray:
    """Whether each row is the first one of its two images, among whole images or variants."""
    keys = _numbers_of_pairs(pairs) * 2 + (pairs["variant"] > 0)
    first = np.zeros(len(pairs), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


def _numbers_of_pairs(pairs: np.ndarray) -> np.ndarray:
    """A number for each row that is the same for the same two images: int64 [N]."""
    low, high = _ends(pairs)
    order = np.lexsort((high, low))
    new = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    numbers = np.empty(len(pairs), np.int64)
    numbers[order] = np.cumsum(np.r_[np.zeros(min(1, len(pairs)), bool), new])
    return numbers


def _ranks(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each pair's list, and its place there; a list is an owner's, of one kind."""
    if not len(pairs):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    owner, is_variant = owners(pairs), pairs["variant"] > 0
    new = np.r_[True, (owner[1:] != owner[:-1]) | (is_variant[1:] != is_variant[:-1])]
    number = np.cumsum(new) - 1
    return number, np.arange(len(pairs)) - np.flatnonzero(new)[number]


def _ends(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(pairs["first"], pairs["second"]), np.maximum(pairs["first"], pairs["second"])


def _pair_hash(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return splitmix64(splitmix64(low, _FIRST_SALT) ^ high, _PAIR_SALT)
