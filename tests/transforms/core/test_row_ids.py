import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core import row_ids
from facemill.transforms.core.row_ids import (
    BASE,
    HELD_OUT,
    MAX_CHUNKS,
    MAX_TASKS,
    NEW,
    chunk_number,
    row_ids_of,
)

origins = st.sampled_from([NEW, BASE, HELD_OUT])
tasks = st.integers(0, MAX_TASKS - 1)
ordinals = st.integers(0, MAX_CHUNKS - 1)


@given(origins, tasks, ordinals, st.integers(1, row_ids.CHUNK))
@settings(deadline=None, max_examples=200)
def test_a_row_id_holds_origin_chunk_and_row(origin, task, ordinal, count):
    chunk = chunk_number(origin, task, ordinal)
    assert 0 <= chunk < 2**52
    assert row_ids.origin_of_chunk(chunk) == origin
    found = row_ids_of(chunk, count)
    assert found.dtype == np.uint64
    assert [row_ids.row_of(row_id) for row_id in found] == list(range(count))
    assert {row_ids.chunk_of(row_id) for row_id in found} == {chunk}
    assert {row_ids.origin_of(row_id) for row_id in found} == {origin}
    assert set(row_ids.origins_of(found).tolist()) == {origin}


@given(st.lists(st.tuples(origins, tasks, ordinals), min_size=2, max_size=20, unique=True))
@settings(deadline=None, max_examples=100)
def test_row_ids_are_unique_and_ordered_by_origin_task_ordinal_row(keys):
    numbers = [chunk_number(*key) for key in sorted(keys)]
    assert numbers == sorted(set(numbers))
    found = np.concatenate([row_ids_of(number, row_ids.CHUNK) for number in numbers])
    assert (np.diff(found.astype(object)) > 0).all()


def test_the_largest_row_id_fits():
    (*_, last) = row_ids_of(chunk_number(HELD_OUT, MAX_TASKS - 1, MAX_CHUNKS - 1), row_ids.CHUNK)
    assert last.dtype == np.uint64
    assert (row_ids.origin_of(last), row_ids.row_of(last)) == (HELD_OUT, row_ids.CHUNK - 1)
    assert row_ids.CHUNK <= 1 << row_ids.ROW_BITS
