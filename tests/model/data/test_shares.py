import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.data.shares import share
from facemill.transforms.core.errors import ParameterError


@given(st.integers(1, 64), st.integers(1, 16))
def test_the_shares_of_all_workers_are_the_batch(each, workers):
    batch = list(range(each * workers))
    found = [batch[share(len(batch), worker, workers)] for worker in range(workers)]
    assert [one for part in found for one in part] == batch
    assert {len(part) for part in found} == {each}


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(ParameterError, match=r"multiple of the number of workers \(3\), got 64"):
        share(64, 0, 3)
    with pytest.raises(ParameterError, match="`worker_index` must be 0 to 1, got 2"):
        share(64, 2, 2)
