import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.rows import KeyRows, RowIds, Rows

ROW = np.dtype([("row_id", "<u8"), ("value", "<f4")])


class ValueRows(Rows):
    __slots__ = ()
    dtype = ROW


class PairsOfIds(Rows):
    __slots__ = ()
    dtype = np.dtype(("<u8", (2,)))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(1, 7))
@settings(deadline=None, max_examples=100)
def test_divided_rows_come_back_complete_under_their_keys(row_ids, groups):
    rows = np.zeros(len(row_ids), ROW)
    rows["row_id"] = row_ids
    parts = list(ValueRows.divide(rows, rows["row_id"] % np.uint64(groups)))
    keys = [key for key, _ in parts]
    assert keys == sorted(set(keys))
    for key, part in parts:
        # In their original order.
        expected = [row_id for row_id in row_ids if row_id % groups == key]
        assert part.array["row_id"].tolist() == expected
        assert len(part) == len(expected)
    joined = ValueRows.join(part for _, part in parts)
    assert Counter(joined["row_id"].tolist()) == Counter(row_ids)


def test_joined_rows_are_writable_and_the_rows_of_a_part_are_not():
    part = ValueRows.of(np.ones(2, ROW))
    rows = ValueRows.join([part, ValueRows(b"")])
    rows["value"] = 5
    assert rows["value"].tolist() == [5, 5]
    assert len(ValueRows.join([])) == 0
    with pytest.raises(ValueError, match="read-only"):
        part.array["value"] = 5


def test_rows_of_a_subarray_dtype_keep_their_shape():
    pairs = np.arange(6, dtype=np.uint64).reshape(-1, 2)
    assert PairsOfIds.of(pairs).array.tolist() == pairs.tolist()
    assert len(PairsOfIds.of(pairs)) == 3
    assert PairsOfIds.join([]).shape == (0, 2)
    divided = PairsOfIds.divide(pairs, pairs[:, 0] % np.uint64(4))
    assert [(key, part.array.tolist()) for key, part in divided] == [
        (0, [[0, 1], [4, 5]]),
        (2, [[2, 3]]),
    ]


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        (RowIds, np.zeros(3, np.int64)),
        (RowIds, np.zeros((3, 2), np.uint64)),
        (PairsOfIds, np.zeros(4, np.uint64)),
        (ValueRows, np.zeros(3, np.dtype([("row_id", "<u8"), ("other", "<f4")]))),
    ],
)
def test_rows_of_another_kind_are_refused(kind, array):
    with pytest.raises(TypeError, match=f"^{kind.__name__} must be made of an array of "):
        kind.of(array)


def test_rows_are_equal_to_rows_of_their_kind_only():
    rows = RowIds.of(np.arange(3, dtype=np.uint64))
    assert rows == RowIds(rows.data) == pickle.loads(pickle.dumps(rows))
    assert rows != KeyRows(rows.data)
    assert len({rows, RowIds(rows.data), KeyRows(rows.data)}) == 2
