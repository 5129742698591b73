import itertools

import numpy as np
import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.selection.decisions import DECISION
from facemill.transforms.selection.rules import MOST, Rule, in_order, parse


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("min-images=3", Rule("min-images", 3)),
        ("cap=100", Rule("cap", 100)),
        ("cap=1e3", Rule("cap", 1000)),
        ("cap=5@age", Rule("cap", 5, "age")),
        ("oversample=20@skin tone", Rule("oversample", 20, "skin tone")),
        ("oversample=1@a@b", Rule("oversample", 1, "a@b")),
        ("effective-number=0.999", Rule("effective-number", 0.999)),
        ("effective-number=0", Rule("effective-number", 0)),
    ],
)
def test_a_valid_rule_is_parsed(text, rule):
    assert parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        *("", "cap", "cap=", "=5", "cap=5@", "cap=0", "cap=-1", "cap=2.5", "cap=x", "cap=nan"),
        *(
            "cap=inf",
            "cap=1e18",
            "oversample=1000000001",
            "min-images=5e9@age",
            "Cap=5",
            "limit=5",
            "cap 5",
            "min-images=0",
            "oversample=0",
        ),
        *("effective-number=1", "effective-number=-0.1", "effective-number=nan"),
        *("effective-number=inf", "effective-number", "@age", "@"),
    ],
)
def test_an_invalid_rule_raises_an_error_of_one_sentence(text):
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert repr(text) in str(raised.value)
    assert "`balance` must be" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_largest_amount_fits_into_the_columns_of_decisions():
    assert parse(f"cap={MOST}").amount == MOST
    for name in ("have", "limit", "copies"):
        assert np.iinfo(DECISION[name]).max >= MOST
    assert np.iinfo(np.int32).max >= MOST


def test_rules_that_drop_images_come_before_rules_that_count_the_images_that_stay():
    rules = (
        *(Rule("min-images", 2), Rule("cap", 5), Rule("cap", 9, "age")),
        *(Rule("oversample", 6), Rule("effective-number", 0.9), Rule("oversample", 30, "age")),
    )
    assert all(in_order(some) == rules for some in itertools.permutations(rules))
    # Rules of one kind keep their order.
    assert in_order((Rule("cap", 3), Rule("cap", 2))) == (Rule("cap", 3), Rule("cap", 2))
