from collections import Counter, defaultdict

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.selection.apply import apply
from facemill.transforms.selection.by_attribute import (
    BalanceAttribute,
    Cuts,
    by_attribute,
    cut,
    is_large,
    sampled,
    sizes,
)
from facemill.transforms.selection.decisions import DecisionRows
from facemill.transforms.selection.rules import Rule
from tests.transforms.selection.decided import decisions

RULES = (
    Rule("cap", 90, "age"),
    Rule("min-images", 20, "age"),
    Rule("oversample", 70, "age"),
    Rule("effective-number", 0.9, "age"),
)
ROWS = 64


def by_row_id(rows: np.ndarray) -> bytes:
    return rows[np.argsort(rows["row_id"])].tobytes()


def large_of(parts: list[DecisionRows]) -> list[tuple[int, int]]:
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(dict(sizes(part)))
    return [one for one in counts.items() if is_large(one, ROWS)]


@pytest.mark.moderate
@given(st.integers(0, 2**32 - 1), st.sampled_from(["hash", "quality"]), st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_groups_stay_bounded_and_small_values_stay_in_one_group(seed, prefer, parts):
    rows = decisions(seed, 1000, values=5)
    part_of_row = np.random.default_rng(seed).integers(0, parts, len(rows))
    data = [DecisionRows.of(rows[part_of_row == part]) for part in range(parts)]
    large = large_of(data)
    samples = [one for part in data for one in sampled(part, large, prefer, ROWS)]
    cuts = cut(samples, large, ROWS)
    groups = defaultdict(list)
    for part in data:
        for key, some in by_attribute(part, cuts, len(rows), prefer, ROWS):
            assert 0 <= key < 2**63
            groups[key].append(some.array)
    joined = {key: np.concatenate(some) for key, some in groups.items()}
    assert by_row_id(np.concatenate(list(joined.values()))) == by_row_id(rows)
    assert max(map(len, joined.values())) <= 3 * ROWS
    values = {value for value, _ in large}
    for value in np.unique(rows["group"][rows["reason"] == 0]).tolist():
        keys_of_value = {
            key
            for key, some in joined.items()
            if ((some["group"] == value) & (some["reason"] == 0)).any()
        }
        stays_whole = value == 0 or np.uint64(value).view(np.int64) not in values
        assert value == 0 or (len(keys_of_value) == 1) is bool(stays_whole)


def test_cuts_do_not_depend_on_the_order_of_samples():
    data = [DecisionRows.of(decisions(seed, 500, values=2)) for seed in (1, 1)]
    large = large_of(data)
    samples = [one for part in data for one in sampled(part, large, "hash", ROWS)]
    one, other = (
        cut(some, large[::step], ROWS) for some, step in ((samples, 1), (samples[::-1], -1))
    )
    assert one.values.tolist() == other.values.tolist()
    assert [keys.tolist() for keys in one.starts] == [keys.tolist() for keys in other.starts]


def test_the_shares_of_a_value_have_consecutive_numbers():
    cuts = Cuts(np.array([-5, 3]), [np.array([b"b", b"d"]), np.array([b"x"])])
    assert cuts.firsts.tolist() == [0, 3, 5]
    assert [cuts.around(share) for share in range(5)] == [(0, 3)] * 3 + [(3, 5)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("prefer", ["hash", "quality"])
@pytest.mark.parametrize("limit", [ROWS, 10**6])
def test_the_transform_decides_as_the_rules_do_on_all_rows_at_once(prefer, limit, tmp_path):
    rows = decisions(4, 1500, values=6)
    parts = [DecisionRows.of(part) for part in np.array_split(rows, 7)]
    result = tmp_path / "rows"

    def write(found: list[DecisionRows]) -> None:
        result.write_bytes(DecisionRows.join(found).tobytes())

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        total = pipeline | "Total" >> beam.Create([len(rows)])
        decided = pipeline | beam.Create(parts)
        balanced = decided | BalanceAttribute(RULES, prefer, total, limit)
        _ = balanced | beam.combiners.ToList() | beam.Map(write)
    for rule in RULES:
        apply(rows, rule, "group", prefer)
    assert by_row_id(np.fromfile(result, DecisionRows.dtype)) == by_row_id(rows)
    assert len(np.unique(rows["reason"])) == 4
