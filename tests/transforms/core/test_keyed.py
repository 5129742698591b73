from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.keyed import keyed_hash

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
seeds = st.integers(0, 2**64)


@given(seeds, texts)
@settings(deadline=None, max_examples=100)
def test_hashes_are_64_bits_and_always_the_same(seed, key):
    value = keyed_hash(seed, "split", key)
    assert 0 <= value < 2**64
    assert value == keyed_hash(seed, "split", key)


def test_values_never_change():
    # A dataset's splits and places rest on these very numbers.
    assert keyed_hash(1, "split", "id00001") == 0x5D075AADB1FB1ED3
    assert keyed_hash(0, "order", "Zoë/Zoë_0001.jpg") == 0x8E4D526EDB2F7682


def test_seed_purpose_and_key_all_count():
    given_ones = [(1, "split", "a"), (2, "split", "a"), (1, "shard", "a"), (1, "split", "b")]
    # The seed's digits and the key's must not run into one another.
    given_ones += [(1, "split", "1"), (11, "split", "")]
    assert len({keyed_hash(*one) for one in given_ones}) == len(given_ones)


def test_hashes_are_spread_evenly():
    counts = Counter(keyed_hash(5, "shard", f"id/{number}") % 16 for number in range(16_000))
    assert len(counts) == 16
    # Four standard deviations of a binomial count.
    assert all(abs(count - 1000) < 4 * 31 for count in counts.values())
