import apache_beam as beam
import numpy as np
import pytest

from facemill.transforms.dataset.splits import SPLIT_REQUEST
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.coders import ScannedCoder
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, Scanned
from facemill.transforms.sources.base import Ref


def random_rows(dtype: np.dtype, count: int) -> np.ndarray:
    data = np.random.default_rng(count).integers(0, 2, count * dtype.itemsize, np.uint8)
    return np.frombuffer(data.tobytes(), dtype)


@pytest.mark.parametrize("width", [0, 7])
@pytest.mark.parametrize(("usable", "requests", "unusable"), [(0, 0, 0), (3, 0, 2), (256, 5, 0)])
def test_a_scanned_chunk_is_equal_after_encoding_and_decoding(width, usable, requests, unusable):
    scanned = Scanned(
        2**52 - 1,
        usable + unusable,
        random_rows(USABLE, usable),
        random_rows(np.dtype("u1"), usable * width).reshape(usable, width),
        random_rows(SPLIT_REQUEST, requests),
        random_rows(UNUSABLE, unusable),
    )
    coder = beam.coders.registry.get_coder(Scanned)
    assert coder == ScannedCoder()
    assert coder.is_deterministic()
    encoded = coder.encode(scanned)
    assert coder.estimate_size(scanned) == len(encoded)
    found = coder.decode(encoded)
    assert (found.chunk, found.count) == (scanned.chunk, scanned.count)
    for name in ("usable", "windows", "split_requests", "unusable"):
        one, other = getattr(found, name), getattr(scanned, name)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_a_chunk_is_equal_after_encoding_and_decoding():
    chunk = Chunk.of(2**52 - 1, [Ref("ada/1.jpg", "ada", "ada/1.jpg")], 3)
    coder = beam.coders.registry.get_coder(Chunk)
    assert coder.is_deterministic()
    assert coder.decode(coder.encode(chunk)) == chunk
    assert coder.decode(coder.encode(chunk)).refs == chunk.refs
