"""Framings of two sets: medians of proportions and sizes, and what they say of the search."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.ingest.framings import Framing, Framings, median_framing


def table(sizes) -> pa.Table:
    columns = list(zip(*sizes, strict=True)) or [[], []]
    return pa.table(dict(zip(("width", "height"), columns, strict=True))).cast(
        pa.schema([("width", pa.int32()), ("height", pa.int32())])
    )


@pytest.mark.moderate
@given(
    st.lists(st.tuples(st.integers(16, 5000), st.integers(16, 5000)), min_size=1, max_size=40),
    st.integers(1, 4),
)
def test_medians_are_right_to_a_percent_whatever_the_parts(sizes, parts):
    found = median_framing(table(sizes[part::parts]) for part in range(parts))
    width, height = np.array(sizes, float).T
    for mine, values in ((found.aspect, width / height), (found.pixels, width * height)):
        lower = np.sort(values)[(len(values) - 1) // 2]
        assert mine == pytest.approx(lower, rel=0.006)


def test_photos_without_a_size_do_not_count():
    assert median_framing([]) is None
    assert median_framing([table([(None, None)])]) is None
    found = median_framing([table([(None, None), (256, 256)])])
    assert found == Framing(1.0, 65_536.0)


@pytest.mark.parametrize(
    ("theirs", "differ"),
    [
        (Framing(1.0, 65_536), False),
        (Framing(1.03, 60_000), False),
        (Framing(0.95, 65_536), True),
        (Framing(1.0, 32_768), True),
        (Framing(1.0, 200_000), True),
    ],
)
def test_other_proportions_or_sizes_are_told(theirs, differ):
    mine = Framing(1.0, 65_536)
    assert (Framings(mine, theirs, False).words is not None) == differ
    assert Framings(theirs, mine, False).differ == differ


def test_the_sentence_says_what_may_be_missed_and_what_helps():
    mine, theirs = Framing(1.0, 62_500), Framing(178 / 218, 178 * 218)
    near, thorough = (Framings(mine, theirs, one).words for one in (False, True))
    assert near == (
        "photos of the held-out set have another shape or size (median width / height 0.82 and "
        "39,000 pixels) than those of the input (1.00 and 62,000 pixels): copies that are framed "
        "differently may be missed; --dedup thorough looks for crops"
    )
    assert thorough.endswith("copies that are cut by more than 10 % at an end may be missed")
