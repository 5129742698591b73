import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.duplicates import banding

_SEEDS = st.integers(0, 2**32 - 1)


def _hashes(seed: int, count: int = 300) -> np.ndarray:
    """Clusters of hashes whose members differ from their center in up to about 30 bits."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (12, 128), np.uint8)
    bits = centers[rng.integers(12, size=count)]
    flips = rng.random(bits.shape) < rng.choice([0.0, 0.02, 0.06, 0.12], size=(count, 1))
    return np.packbits(bits ^ flips, axis=1)


def _all_within(hashes: np.ndarray, radius: int) -> np.ndarray:
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2, dtype=int)
    pairs = np.argwhere(distances <= radius)
    return pairs[pairs[:, 0] < pairs[:, 1]]


@pytest.fixture
def _no_leaders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banding, "LEADERS", 10**6)


@pytest.mark.usefixtures("_no_leaders")
class TestNearPairs:
    @pytest.mark.moderate
    @settings(deadline=None, max_examples=25)
    @given(_SEEDS, st.sampled_from([0, 7, 15]))
    def test_near_pairs_are_exactly_the_pairs_within_the_radius(
        self, seed: int, radius: int
    ) -> None:
        hashes = _hashes(seed)
        assert np.array_equal(
            banding.near_pairs(hashes, radius=radius), _all_within(hashes, radius)
        )

    @pytest.mark.moderate
    @settings(deadline=None, max_examples=10)
    @given(_SEEDS)
    def test_pairs_of_all_bands_are_disjoint_and_complete(self, seed: int) -> None:
        hashes = _hashes(seed)
        shares = np.concatenate([banding.near_pairs(hashes, band) for band in range(8)])
        assert sorted(map(tuple, shares)) == list(map(tuple, banding.near_pairs(hashes)))

    @pytest.mark.moderate
    @settings(deadline=None, max_examples=10)
    @given(_SEEDS, st.integers(0, 8))
    def test_partitions_by_band_side_and_value_find_each_pair_once(
        self, seed: int, bits: int
    ) -> None:
        hashes = _hashes(seed)
        keys = banding.partition_keys(hashes, bits)
        assert keys.max(initial=0) < 2**bits
        found = []
        for band in range(banding.BANDS):
            for side in range(banding.SIDES):
                for value in np.unique(keys[:, band, side]):
                    rows = np.flatnonzero(keys[:, band, side] == value)
                    found.append(rows[banding.near_pairs(hashes[rows], band, side)])
        assert sorted(map(tuple, np.concatenate(found))) == list(
            map(tuple, _all_within(hashes, banding.RADIUS))
        )

    @pytest.mark.moderate
    @settings(deadline=None, max_examples=10)
    @given(_SEEDS)
    def test_near_pairs_do_not_depend_on_the_order_of_rows(self, seed: int) -> None:
        hashes = _hashes(seed)
        order = np.random.default_rng(seed).permutation(len(hashes))
        pairs = np.sort(order[banding.near_pairs(hashes[order])], axis=1)
        assert sorted(map(tuple, pairs)) == list(map(tuple, banding.near_pairs(hashes)))

    @pytest.mark.moderate
    @settings(deadline=None, max_examples=10)
    @given(_SEEDS)
    def test_near_pairs_of_rows_in_content_order_are_the_same(self, seed: int) -> None:
        hashes = _hashes(seed)
        order = banding.content_order(hashes)
        words = hashes[order].view(np.uint64).tolist()
        assert words == sorted(hashes.view(np.uint64).tolist())
        assert np.array_equal(banding.content_order(hashes[order]), np.arange(len(order)))
        pairs = np.sort(order[banding.near_pairs(hashes[order])], axis=1)
        assert sorted(map(tuple, pairs)) == list(map(tuple, banding.near_pairs(hashes)))

    def test_near_pairs_do_not_depend_on_the_chunk_size(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hashes = _hashes(5)
        whole = banding.near_pairs(hashes)
        monkeypatch.setattr(banding, "_CHUNK", 7)
        assert np.array_equal(banding.near_pairs(hashes), whole)


def test_a_pair_that_differs_by_fifteen_bits_spread_over_all_bands_is_found() -> None:
    # Two differing bits in seven bands, one in the eighth.
    bits = np.zeros((2, 128), np.uint8)
    bits[1, [bit for band in range(7) for bit in (16 * band, 16 * band + 9)] + [127]] = 1
    assert banding.near_pairs(np.packbits(bits, axis=1)).tolist() == [[0, 1]]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_hashes_have_no_pairs(count: int) -> None:
    hashes = np.zeros((count, 16), np.uint8)
    assert banding.near_pairs(hashes).shape == (0, 2)
    assert len(banding.cross_pairs(hashes[:, None], np.arange(count), hashes[:, None])) == 0


def test_hashes_of_another_length_raise_an_error() -> None:
    with pytest.raises(ValueError, match=r"\[N, 16\], got \[5, 32\]"):
        banding.near_pairs(np.zeros((5, 32), np.uint8))


def test_equal_hashes_give_a_bounded_number_of_pairs_that_connect_them() -> None:
    hashes = np.zeros((1000, 16), np.uint8)
    pairs = banding.near_pairs(hashes)
    assert len(pairs) <= 1000 * banding.LEADERS
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert {1, 999} <= set(pairs[pairs[:, 0] == 0][:, 1].tolist())
    assert set(pairs.ravel().tolist()) == set(range(1000))
    # The first band finds them, the others none.
    assert np.array_equal(banding.near_pairs(hashes, 0, 0), pairs)
    assert not any(len(banding.near_pairs(hashes, band)) for band in range(1, 8))


def test_a_crowded_band_value_takes_a_bounded_number_of_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (6000, 16), np.uint8)
    hashes[:, :2] = 0
    compared = 0
    bitwise_count = np.bitwise_count

    def counting(values: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += values.size
        return bitwise_count(values)

    monkeypatch.setattr(np, "bitwise_count", counting)
    banding.near_pairs(hashes, 0)
    assert compared < 6000 * 100


class TestCrossPairs:
    @pytest.mark.slow
    @settings(deadline=None, max_examples=25)
    @given(_SEEDS)
    def test_cross_pairs_are_those_of_comparing_all_with_all(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        hashes = np.unique(_hashes(seed, 120), axis=0)
        # Two windows in which each image is found.
        hashes = rng.permutation(hashes)[: len(hashes) // 2 * 2].reshape(-1, 2, 16)
        queries = _hashes(seed, 3 * len(hashes)).reshape(len(hashes), 3, 16)
        rows = rng.permutation(len(hashes))
        differing = queries[:, :, None, None] ^ hashes
        distances = np.bitwise_count(differing).sum(axis=4, dtype=int)
        meet = (differing.reshape(*distances.shape, 8, 2) == 0).all(axis=5).any(axis=4)
        distances[~meet | (distances > banding.CROSS_RADIUS)] = 999
        # Variants are numbered by the query first, then by the window that is found.
        distances = distances.transpose(0, 2, 1, 3).reshape(len(rows), len(hashes), -1)
        expected = sorted(
            (int(rows[query]), other, 1 + int(distances[query, other].argmin()))
            for query in range(len(rows))
            for other in range(len(hashes))
            if rows[query] != other and distances[query, other].min() < 999
        )
        with pytest.MonkeyPatch.context() as patch:
            # Queries in parts, and hits reduced many times.
            patch.setattr(banding, "_QUERIES", 7)
            patch.setattr(banding, "_CHUNK", 100)
            hits = banding.cross_pairs(queries, rows, hashes)
        assert hits[["first", "second", "variant"]].tolist() == expected

    def test_parts_of_the_queries_find_the_corresponding_parts_of_the_pairs(self) -> None:
        hashes = _hashes(3)
        queries = _hashes(3, 600).reshape(300, 2, 16)
        whole = banding.cross_pairs(queries, np.arange(300), hashes[:, None])
        parts = [
            banding.cross_pairs(queries[part], part, hashes[:, None])
            for part in (np.arange(100), np.arange(100, 300))
        ]
        assert len(whole)
        assert np.array_equal(np.concatenate(parts), whole)

    @pytest.mark.slow
    @settings(deadline=None, max_examples=10)
    @given(_SEEDS, st.sampled_from([0, 3, 16]), st.sampled_from([3, 2048]))
    def test_nearest_hits_of_all_bands_and_values_are_the_cross_pairs(
        self, seed: int, bits: int, crowd: int
    ) -> None:
        rng = np.random.default_rng(seed)
        hashes = _hashes(seed)
        # More equal hashes than LEADERS.
        hashes[rng.random(300) < 0.1] = hashes[0]
        queries = _hashes(seed, 600).reshape(300, 2, 16)
        row_ids = np.sort(rng.choice(2**50, 300, replace=False)).astype(np.uint64)
        flat_queries = queries.reshape(-1, 16)
        query_row_ids, variant = np.repeat(row_ids, 2), np.tile([1, 2], 300)
        found = [np.empty(0, banding.HIT)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(banding, "MAX_BUCKET", crowd)
            patch.setattr(banding, "MAX_HITS", 20)
            expected = banding.cross_pairs(queries, np.arange(300), hashes[:, None])
            for band in range(banding.BANDS):
                values, query_values = (
                    banding.band_values(some, band) >> np.uint16(16 - bits)
                    for some in (hashes, flat_queries)
                )
                for value in np.unique(query_values):
                    in_group, queried = values == value, query_values == value
                    found.append(
                        banding.cross_share(
                            *(flat_queries[queried], query_row_ids[queried], variant[queried]),
                            *(hashes[in_group], row_ids[in_group], band),
                        )
                    )
            order = rng.permutation(sum(map(len, found)))
            hits = banding.nearest(np.concatenate(found)[order])
        for end in ("first", "second"):
            assert hits[end].tolist() == row_ids[expected[end]].tolist()
        assert hits["variant"].tolist() == expected["variant"].tolist()

    def test_many_equal_hashes_give_a_bounded_number_of_cross_pairs(self) -> None:
        hashes = np.zeros((1000, 1, 16), np.uint8)
        hits = banding.cross_pairs(hashes, np.arange(1000), hashes)
        assert 0 < len(hits) <= 1000 * banding.LEADERS

    def test_of_each_image_the_nearest_others_are_kept(self) -> None:
        rng = np.random.default_rng(5)
        # Equal in the first band, which holds all of them.
        bits = rng.random((500, 128)) < 0.03
        bits[:, :16] = 0
        hashes = np.packbits(bits, axis=1)[:, None]
        hits = banding.cross_pairs(hashes, np.arange(500), hashes)
        distances = np.bitwise_count(hashes ^ hashes[:, 0]).sum(axis=2, dtype=int)
        np.fill_diagonal(distances, 999)
        expected = np.argsort(distances, axis=1, kind="stable")[:, : banding.MAX_HITS]
        assert np.array_equal(hits["second"].reshape(500, -1), np.sort(expected, axis=1))
