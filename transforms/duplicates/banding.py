"""Pairs of near hashes, found without comparing all hashes with all.

A hash is cut into 8 bands of 16 bits. Two hashes within 15 bits of each other have at least one
band in which they differ by at most one bit (pigeonhole), so a lookup in that band finds them:
multi-index hashing, Norouzi, Punjani and Fleet, CVPR 2012, with a search radius of one bit in each
band.

Two limits bound work and memory when many images look alike. Of equal hashes only the first
`LEADERS` are searched; each later one is paired with these. Among the rows of a band value that
more than `MAX_BUCKET` rows share, only neighbors in sorted order are compared. Where neither limit
is reached, no pair within the radius is missed.
"""

from collections.abc import Iterator

import numpy as np

from facemill.transforms.images.perceptual_hash import BANDS, HASH_BYTES

BAND_BITS = 16
RADIUS = 2 * BANDS - 1
# Hashes of crops differ more, and are looked up by equal bands only. That finds all pairs within
# 7 bits, and a share of the others that falls with the distance; see docs/duplicates.md.
CROSS_RADIUS = 21

# Of an image, so many others at most are found by windows.
MAX_HITS = 64
# Images whose windows are looked up at a time: their hashes take 4 MB.
_QUERIES = 2048

LEADERS = 16
MAX_BUCKET = 2048
_WINDOW = 64
# Comparisons at a time: they take some tens of MB, and are enough to hide numpy's cost per call.
_CHUNK = 1 << 20

# The rows of a partition agree in half of a band: in its first or its second eight bits.
SIDES = 2
HALF_BITS = BAND_BITS // SIDES

NO_PAIRS = np.empty((0, 2), np.int64)


def near_pairs(
    hashes: np.ndarray, band: int | None = None, side: int | None = None, radius: int = RADIUS
) -> np.ndarray:
    """Pairs within `radius` bits.

    Without `band` the function finds all pairs. With it, the function finds the pairs of which this
    is the first matching band: the shares of the bands are disjoint, and together they are all
    pairs. A share splits again by `side`: pairs of side 0 agree in the first half of the band,
    pairs of side 1 in the second half only. So a worker that holds the rows of one
    `partition_keys` value of a band and side finds its part of that share.

    Args:
        hashes: uint8 [N, 16].
        band: in [0, 8).
        side: 0 or 1; only with a band.
        radius: largest Hamming distance; guaranteed up to `RADIUS`.

    Returns:
        int64 [P, 2], first < second, in lexicographic order, no pair twice.
    """
    hashes = np.ascontiguousarray(hashes)
    leaders, pairs = _leaders(hashes)
    found = [pairs if band in (None, 0) and side in (None, 0) else NO_PAIRS]
    words = hashes[leaders].view(np.uint64)
    for one in range(BANDS) if band is None else (band,):
        for first, second in _band_pairs(words, one, side, radius):
            found.append(np.stack([leaders[first], leaders[second]], axis=1))
    return _in_order(np.sort(np.concatenate(found), axis=1))


def partition_keys(hashes: np.ndarray, bits: int = HALF_BITS) -> np.ndarray:
    """The partitions that each row belongs to: every near pair shares at least one of them.

    Args:
        hashes: uint8 [N, 16].
        bits: how many bits of a half band the rows of a partition share, in [0, 8]. A partition
            holds about N / 2^bits rows.

    Returns:
        uint8 [N, BANDS, SIDES]: values; the key of a partition is (band, side, value).
    """
    return hashes.reshape(-1, BANDS, SIDES) >> np.uint8(HALF_BITS - bits)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hamming distances of hashes uint8 [N, 16]: uint8 [N], at most 128."""
    return np.bitwise_count(first ^ second).sum(axis=1, dtype=np.uint8)


def content_order(hashes: np.ndarray) -> np.ndarray:
    """The order of rows by content, which is stable for equal rows: int64 [N].

    The search is a little faster on rows that are in this order.

    Args:
        hashes: uint8 [N, 16], contiguous.
    """
    high, low = hashes.view(np.uint64).T
    rising = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] >= low[:-1]))
    return np.arange(len(high)) if rising.all() else np.lexsort((low, high))


def cross_pairs(
    queries: np.ndarray, rows: np.ndarray, hashes: np.ndarray, radius: int = CROSS_RADIUS
) -> np.ndarray:
    """Finds the windows of images that are near a window of another image.

    A window is compared with the hashes that equal it in a band, which finds all pairs within
    7 bits, and a share of those further away. Band values of more than `MAX_BUCKET` hashes of one
    kind of window are skipped, and of each image the `MAX_HITS` nearest others are kept. Workers
    may each take a part of the queries, with all hashes.

    Args:
        queries: uint8 [N, V, 16], windows by which images ask; see `crop_variants.asking`.
        rows: int64 [N], the row of `hashes` that belongs to each image; an image never pairs with
            itself.
        hashes: uint8 [M, W, 16], windows in which images are found; see `crop_variants.found`.
        radius: largest Hamming distance.

    Returns:
        SMALL_HIT [P], the image that asks first, in the order of the pairs, no pair twice. Each
        pair has its nearest variant, and among equally near ones the first.
    """
    kinds, windows = queries.shape[1], hashes.shape[1]
    found = _Nearest(SMALL_HIT)
    for window in range(windows):
        some = np.ascontiguousarray(hashes[:, window])
        leaders, _ = _leaders(some)
        words = some[leaders].view(np.uint64)
        for band in range(BANDS):
            index = _uncrowded_buckets(words, band)
            for start in range(0, len(queries), _QUERIES):
                part = np.ascontiguousarray(queries[start : start + _QUERIES])
                searched = part.reshape(-1, HASH_BYTES).view(np.uint64)
                for left, right, distance in _hits(searched, index, band, radius):
                    asking, variant = np.divmod(left, kinds)
                    hits = np.empty(len(left), SMALL_HIT)
                    hits["first"], hits["second"] = rows[start + asking], leaders[right]
                    hits["distance"], hits["variant"] = distance, variant * windows + window + 1
                    found.add(hits)
    return found.hits()


# The second image is near a variant of the first image, see `crop_variants.FRAMES`. HIT holds row
# ids, SMALL_HIT row numbers.
HIT = np.dtype([("first", "<u8"), ("second", "<u8"), ("variant", "<u2"), ("distance", "u1")])
SMALL_HIT = np.dtype([("first", "<u4"), ("second", "<u4"), ("variant", "<u2"), ("distance", "u1")])


def cross_share(
    queries: np.ndarray,
    query_row_ids: np.ndarray,
    variant: np.ndarray,
    hashes: np.ndarray,
    row_ids: np.ndarray,
    band: int,
    radius: int = CROSS_RADIUS,
) -> np.ndarray:
    """The hits of `cross_pairs` that one band finds first, for a worker with a part of the rows.

    The worker must hold all queries, and of one kind of window all hashes, with certain values of
    the band. `nearest` of the hits of all workers gives those of `cross_pairs`.

    Args:
        queries: uint8 [K, 16], windows of images.
        query_row_ids: uint64 [K], row ids of these images.
        variant: integers [K], the number of the variant if the hash is found, from 1 on.
        hashes: uint8 [M, 16], of one kind of window.
        row_ids: uint64 [M], ascending.
        band: in [0, 8).
        radius: see `cross_pairs`.

    Returns:
        HIT [P].
    """
    hashes = np.ascontiguousarray(hashes)
    leaders, _ = _leaders(hashes)
    index = _uncrowded_buckets(hashes[leaders].view(np.uint64), band)
    words = np.ascontiguousarray(queries).view(np.uint64)
    found = _Nearest(HIT)
    for left, right, distance in _hits(words, index, band, radius):
        hits = np.empty(len(left), HIT)
        hits["first"], hits["second"] = query_row_ids[left], row_ids[leaders[right]]
        hits["distance"], hits["variant"] = distance, variant[left]
        found.add(hits)
    return found.hits()


def nearest(hits: np.ndarray) -> np.ndarray:
    """The hit of the nearest variant of each pair, in the order of pairs; of equal ones the first.

    Of each first image the `MAX_HITS` nearest second images are kept. What is nearest among all
    hits is nearest in any part of them, so parts may be reduced before they are joined.

    Args:
        hits: HIT or SMALL_HIT [P].
    """
    hits = hits[np.lexsort((hits["variant"], hits["distance"], hits["second"], hits["first"]))]
    new = np.ones(len(hits), bool)
    first, second = hits["first"], hits["second"]
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    hits = hits[new]
    order = np.lexsort((hits["second"], hits["distance"], hits["first"]))
    ranked = hits["first"][order]
    starts = np.flatnonzero(np.r_[len(order) > 0, ranked[1:] != ranked[:-1]])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return hits[np.sort(order[rank < MAX_HITS])]


class _Nearest:
    """Collects hits, of which no more are held than `nearest` keeps and a chunk besides."""

    def __init__(self, dtype: np.dtype) -> None:
        self._parts = [np.empty(0, dtype)]
        self._added = 0

    def add(self, hits: np.ndarray) -> None:
        hits = hits[hits["first"] != hits["second"]]
        self._parts.append(hits)
        self._added += len(hits)
        if self._added > _CHUNK:
            self._parts, self._added = [self.hits()], 0

    def hits(self) -> np.ndarray:
        return nearest(np.concatenate(self._parts))


def band_values(hashes: np.ndarray, band: int) -> np.ndarray:
    """uint16 [N], the value of uint8 [N, 16] in a band."""
    return _values(np.ascontiguousarray(hashes).view(np.uint64), band)


class _Buckets:
    """Rows of uint64 [N, 2], in the order of their content, by their value in a band.

    Attributes:
        order: int64 [N], rows by value, then by content, so that positions do not depend on
            the order of the input.
        words: uint64 [N, 2] in that order.
        values: uint16 [N] in that order.
        starts: int64 [65536], the first position of each value.
        counts: int64 [65536].
    """

    def __init__(self, words: np.ndarray, band: int) -> None:
        values = _values(words, band)
        # Stable, and for 16 bits numpy counts instead of comparing.
        self.order = np.argsort(values, kind="stable")
        self.words = words[self.order]
        self.values = values[self.order]
        self.counts = np.bincount(values, minlength=1 << BAND_BITS)
        self.starts = np.cumsum(self.counts) - self.counts


def _uncrowded_buckets(words: np.ndarray, band: int) -> _Buckets:
    """Buckets in which variants are looked up; crowded ones count as empty."""
    index = _Buckets(words, band)
    index.counts[index.counts > MAX_BUCKET] = 0
    return index


def _hits(
    queries: np.ndarray, index: _Buckets, band: int, radius: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Variants and rows within the radius that agree in this band, and in no earlier one.

    Yields:
        (rows of `queries`, rows of the words in the index, distances uint8).
    """
    values = _values(queries, band)
    starts, reach = index.starts[values], index.counts[values]
    for left, right, distance in _compare(queries, index.words, starts, reach, band, radius):
        fresh = _first_equal(queries[left] ^ index.words[right]) == band
        yield left[fresh], index.order[right[fresh]], distance[fresh]


def _leaders(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows to search, and pairs of each other row with its leaders.

    Returns:
        (int64 [L] rows in the order of their content, int64 [P, 2]).
    """
    if hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise ValueError(f"hashes must be [N, {HASH_BYTES}], got {list(hashes.shape)}")
    order = content_order(hashes)
    words = hashes.view(np.uint64)[order]
    starts = np.flatnonzero(np.r_[len(order) > 0, np.any(words[1:] != words[:-1], axis=1)])
    sizes = np.diff(np.r_[starts, len(order)])
    if not len(sizes) or sizes.max() <= LEADERS:
        return order, NO_PAIRS
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    others = np.flatnonzero(rank >= LEADERS)
    firsts = (others - rank[others])[:, None] + np.arange(LEADERS)
    pairs = np.stack([order[firsts].ravel(), np.repeat(order[others], LEADERS)], axis=1)
    return order[rank < LEADERS], pairs


def _band_pairs(
    words: np.ndarray, band: int, side: int | None, radius: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of near pairs of which this band, with this side, is the first that matches."""
    buckets = _Buckets(words, band)
    for positions, starts, reach in _lookups(buckets, side):
        queries = buckets.words[positions]
        for left, right, _ in _compare(queries, buckets.words, starts, reach, band, radius):
            left = positions[left]
            differing = buckets.words[left] ^ buckets.words[right]
            fresh = _first_within_one(differing) == band
            yield buckets.order[left[fresh]], buckets.order[right[fresh]]


def _lookups(
    buckets: _Buckets, side: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Comparisons to make: (positions, the first position to compare with, how many), all int64."""
    counts = buckets.counts[buckets.values]
    crowded = counts > MAX_BUCKET
    positions = np.arange(len(counts))
    if side in (None, 0):
        # Each row with those after it in its own bucket.
        reach = buckets.starts[buckets.values] + counts - positions - 1
        reach[crowded] = np.minimum(reach[crowded], _WINDOW)
        yield positions, positions + 1, reach
    open_counts = np.where(buckets.counts > MAX_BUCKET, 0, buckets.counts)
    for bit in _flips(side):
        # Each pair of buckets once: from the value without the bit to the value with it.
        positions = np.flatnonzero((buckets.values & bit == 0) & ~crowded)
        other = buckets.values[positions] | bit
        yield positions, buckets.starts[other], open_counts[other]


def _compare(
    queries: np.ndarray,
    words: np.ndarray,
    starts: np.ndarray,
    reach: np.ndarray,
    band: int,
    radius: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Compares each query with `reach` rows from `starts` on, and keeps pairs within the radius.

    Yields:
        (rows of `queries`, rows of `words`, distances uint8), a bounded number at a time.
    """
    # The rows agree in a part of the word with the band, so the other word rejects more of them.
    far = 1 - band // (BANDS // 2)
    far_queries, far_words = queries[:, far].copy(), words[:, far].copy()
    active = np.flatnonzero(reach)
    stops = np.cumsum(reach[active])
    low = 0
    while low < len(active):
        done = stops[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(stops, done + _CHUNK, "right")))
        rows = active[low:high]
        lengths = reach[rows]
        # The k-th comparison of this chunk is with row k + shift.
        shift = starts[rows] - (stops[low:high] - lengths - done)
        right = np.repeat(shift.astype(np.int32), lengths)
        right += np.arange(len(right), dtype=np.int32)
        differing = np.repeat(far_queries[rows], lengths)
        differing ^= far_words[right]
        kept = np.flatnonzero(np.bitwise_count(differing) <= radius)
        left = rows[np.searchsorted(stops[low:high] - done, kept, "right")]
        right = right[kept]
        distance = np.bitwise_count(queries[left] ^ words[right]).sum(axis=1, dtype=np.uint8)
        close = distance <= radius
        yield left[close], right[close].astype(np.int64), distance[close]
        low = high


def _flips(side: int | None) -> Iterator[np.uint16]:
    """The bits of a band in which the pairs of a side may differ."""
    for bit in range(BAND_BITS):
        # The first half of a band is its high byte.
        if side is None or side == (1 if bit >= HALF_BITS else 0):
            yield np.uint16(1 << bit)


def _values(words: np.ndarray, band: int) -> np.ndarray:
    """uint16 [N], the band's value in rows of uint64 [N, 2]."""
    return words.view(">u2")[:, band].astype(np.uint16)


def _first_within_one(differing: np.ndarray) -> np.ndarray:
    """The first band with at most one bit set, of uint64 [P, 2]."""
    return np.argmax(np.bitwise_count(differing.view(np.uint16)) <= 1, axis=1)


def _first_equal(differing: np.ndarray) -> np.ndarray:
    """The first band with no bit set, of uint64 [P, 2]."""
    return np.argmax(differing.view(np.uint16) == 0, axis=1)


def _in_order(pairs: np.ndarray) -> np.ndarray:
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
