from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.keyed import keyed_hash, splitmix64

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
seeds = st.integers(0, 2**64)


@given(seeds, texts)
@settings(deadline=None, max_examples=100)
def test_hashes_have_64_bits_and_are_reproducible(seed, key):
    value = keyed_hash(seed, "split", key)
    assert 0 <= value < 2**64
    assert value == keyed_hash(seed, "split", key)


@pytest.mark.parametrize(
    ("seed", "purpose", "key", "expected"),
    [
        (1, "split", "id00001", 0x5D075AADB1FB1ED3),
        (0, "order", "Zoë/Zoë_0001.jpg", 0x8E4D526EDB2F7682),
        (7, "shard", "Ada/1.jpg", 0x9BD9757A94AC26E8),
        (2**64, "split", "", 0x212896386B408C07),
    ],
)
def test_keyed_hash_golden_values(seed, purpose, key, expected):
    # Splits, shards and positions of every dataset follow from these numbers.
    assert keyed_hash(seed, purpose, key) == expected


@pytest.mark.parametrize(
    ("salt", "expected"),
    [
        # From 0 these are the first outputs of SplitMix64 with seed 0, as published.
        (0, (0xE220A8397B1DCDAF, 0x910A2DEC89025CC1, 0x481EC0A212A9F3DB, 0xE4D971771B652C20)),
        (1, (0x6E789E6AA1B965F4, 0xBEEB8DA1658EEC67, 0xC46FA638A6309012, 0xE99FF867DBF682C9)),
        (2, (0x06C45D188009454F, 0xF893A2EEFB32555E, 0x61A685FFC80A8140, 0x382FF84CB27281E9)),
    ],
)
def test_splitmix64_golden_values(salt, expected):
    hashes = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    result = splitmix64(hashes, salt)
    assert result.dtype == np.uint64
    assert tuple(result.tolist()) == expected


def test_seed_purpose_and_key_each_change_the_hash():
    inputs = [(1, "split", "a"), (2, "split", "a"), (1, "shard", "a"), (1, "split", "b")]
    # The seed's digits and the key's must not run into one another.
    inputs += [(1, "split", "1"), (11, "split", "")]
    assert len({keyed_hash(*one) for one in inputs}) == len(inputs)


def test_hashes_are_spread_evenly():
    counts = Counter(keyed_hash(5, "shard", f"id/{number}") % 16 for number in range(16_000))
    assert len(counts) == 16
    # Four standard deviations of a binomial count.
    assert all(abs(count - 1000) < 4 * 31 for count in counts.values())
