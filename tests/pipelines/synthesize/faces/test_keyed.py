import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.synthesize.faces import keyed

PURPOSES = (keyed.IDENTITY, keyed.IMAGE, keyed.COUNT, keyed.PLAN, keyed.PAIRS)
KEYS = st.tuples(
    st.integers(0, 2**64 - 1),
    st.sampled_from(PURPOSES),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**28 - 1),
)


@given(KEYS, KEYS)
def test_numbers_are_equal_if_and_only_if_the_keys_are(one, other):
    same = np.array_equal(keyed.uniforms(*one, 4), keyed.uniforms(*other, 4))
    assert same == (one == other)


def test_a_longer_draw_begins_with_the_shorter_one():
    assert np.array_equal(
        keyed.uniforms(1, keyed.IMAGE, 2, 3, 9)[:4], keyed.uniforms(1, 2, 2, 3, 4)
    )


def test_neighboring_keys_are_unrelated():
    first = np.array([keyed.uniforms(7, keyed.IMAGE, 1, k, 1)[0] for k in range(2000)])
    assert abs(first.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.1
