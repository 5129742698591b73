"""Numbers of bytes as people write them."""

import pytest

from facemill.pipelines.common.search_options import parse_bytes
from facemill.transforms.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1GB", 10**9),
        ("1 gib", 2**30),
        ("1.5GB", 15 * 10**8),
        ("500MB", 5 * 10**8),
        ("64000000", 64 * 10**6),
    ],
)
def test_bytes_are_read_with_and_without_a_unit(text, number):
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1TB", "63MB", "1e9", "nan"])
def test_other_texts_are_refused(text):
    with pytest.raises(UsageError, match="--memory must be 64MB or more"):
        parse_bytes(text)
