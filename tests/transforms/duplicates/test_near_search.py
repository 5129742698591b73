import numpy as np
import pytest

from facemill.transforms.duplicates import banding
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.near_search import NearPairs, bands
from tests.transforms.duplicates.searching import hash_rows, pairs_of

COUNT = 400


# One worker, one worker for each band, parts by one bit of each half of a band, parts by all bits.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("one_worker", "together"), [(COUNT, 10**6), (COUNT - 1, COUNT), (10, COUNT // 2), (1, 1)]
)
def test_near_pairs_do_not_depend_on_how_workers_divide_the_search(one_worker, together, tmp_path):
    rows = hash_rows(1, COUNT)
    parts = np.array_split(rows, 5)
    pairs = pairs_of(
        tmp_path, parts, COUNT, lambda _, total: NearPairs(total, one_worker, together)
    )
    rows = rows[np.argsort(rows["row_id"])]
    near = rows["row_id"][banding.near_pairs(rows["fingerprint"])]
    expected = np.zeros(len(near), PAIR)
    expected["first"], expected["second"] = near.T
    ends = (rows["fingerprint"][np.searchsorted(rows["row_id"], one)] for one in near.T)
    expected["distance"] = banding.distances(*ends)
    assert expected["distance"].max() == banding.RADIUS
    assert len(expected) > COUNT
    assert pairs.tolist() == np.sort(expected).tolist()


def test_bands_are_searched_by_separate_workers_above_the_limit_of_one_worker():
    assert len(bands(1 << 16, 1 << 16, 1 << 21)) == 1
    assert list(bands((1 << 16) + 1, 1 << 16, 1 << 21)) == list(range(banding.BANDS))
    assert list(bands(1 << 21, 1 << 16, 1 << 21)) == list(range(banding.BANDS))
    # Above that, parts by some bits of each band are searched instead.
    assert list(bands((1 << 21) + 1, 1 << 16, 1 << 21)) == []


@pytest.mark.moderate
def test_an_empty_collection_has_no_near_pairs(tmp_path):
    assert len(pairs_of(tmp_path, [], 0, lambda _, total: NearPairs(total))) == 0
