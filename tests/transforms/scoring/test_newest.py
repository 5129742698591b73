"""The newest rows of photos, whatever the order of the rows."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.scoring.newest import GONE_SCHEMA, bucket_schema, newest

SCHEMA = pa.schema([("image_id", pa.string())])
ROWS = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 3)))
MARKS = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 3)))


@pytest.mark.moderate
@given(ROWS, MARKS, st.randoms(use_true_random=False))
def test_a_row_stays_if_nothing_newer_is_known_of_its_photo(rows, marks, chance):
    # A run that says that a photo has gone has no row of it.
    marks = {(p, age) for p, age in marks if not any(r[0] == p and r[2] == age for r in rows)}
    shuffled = list(rows)
    chance.shuffle(shuffled)
    table = pa.table(
        [
            pa.array([f"{photo}#{face}" for photo, face, _ in shuffled], pa.string()),
            pa.array([photo for photo, _, _ in shuffled], pa.string()),
            pa.array([age for _, _, age in shuffled], pa.int32()),
        ],
        schema=bucket_schema(SCHEMA),
    )
    gone = pa.table(
        [
            pa.array([photo for photo, _ in marks], pa.string()),
            pa.array([age for _, age in marks], pa.int32()),
        ],
        schema=GONE_SCHEMA,
    )
    ages = {photo: [age for p, _, age in rows if p == photo] for photo in "abc"}
    over = {photo: [age for p, age in marks if p == photo] for photo in "abc"}
    expected = sorted(
        f"{photo}#{face}"
        for photo, face, age in rows
        if age == max(ages[photo]) and age >= max(over[photo], default=-1)
    )
    valid, lost = newest(table, gone)
    assert valid["image_id"].to_pylist() == expected
    assert lost == sum(age == max(ages[photo]) for photo, _, age in rows) - len(expected)
