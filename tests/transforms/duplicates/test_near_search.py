import numpy as np
import pytest

from facemill.transforms.duplicates import banding
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.near_search import NearPairs, bands
from tests.transforms.duplicates.searching import found, hash_rows

COUNT = 400


# By one worker, by band, by one bit of each half of a band, by as many as there are.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("one_worker", "together"), [(COUNT, 10**6), (COUNT - 1, COUNT), (10, COUNT // 2), (1, 1)]
)
def test_pairs_are_the_same_however_the_work_is_divided(one_worker, together, tmp_path):
    rows = hash_rows(1, COUNT)
    parts = np.array_split(rows, 5)
    pairs = found(tmp_path, parts, COUNT, lambda _, total: NearPairs(total, one_worker, together))
    rows = rows[np.argsort(rows["row_id"])]
    near = rows["row_id"][banding.near_pairs(rows["fingerprint"])]
    expected = np.zeros(len(near), PAIR)
    expected["first"], expected["second"] = near.T
    assert len(expected) > COUNT
    assert pairs.tolist() == np.sort(expected).tolist()


def test_more_images_than_one_worker_should_search_are_searched_by_several():
    assert len(bands(1 << 16, 1 << 16, 1 << 21)) == 1
    assert list(bands((1 << 16) + 1, 1 << 16, 1 << 21)) == list(range(banding.BANDS))
    assert list(bands(1 << 21, 1 << 16, 1 << 21)) == list(range(banding.BANDS))
    # What then meets shares some bits.
    assert list(bands((1 << 21) + 1, 1 << 16, 1 << 21)) == []


def test_no_image_has_no_pairs(tmp_path):
    assert len(found(tmp_path, [], 0, lambda _, total: NearPairs(total))) == 0
