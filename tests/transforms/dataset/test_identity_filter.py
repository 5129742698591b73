import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.dataset.identity_filter import NO_IDENTITY, IdentityFilter

keys = st.sets(st.integers(1, 12)).map(lambda some: np.array(sorted(some), np.uint64))
identities = st.lists(st.integers(0, 12)).map(lambda some: np.array(some, np.uint64))


@given(keys, st.none() | keys, identities)
@settings(deadline=None, max_examples=80)
def test_lists_exclude_identities_and_never_images_without_one(exclude, include, queried):
    chosen = pickle.loads(pickle.dumps(IdentityFilter(include, exclude)))
    assert chosen.excluded(queried).tolist() == [one in exclude for one in queried]
    allowed = [include is None or one in include for one in queried]
    assert chosen.not_included(queried).tolist() == [not good for good in allowed]
    assert chosen.left_out(queried).tolist() == [
        one != NO_IDENTITY and (one in exclude or not good)
        for one, good in zip(queried, allowed, strict=True)
    ]


def test_without_lists_no_identity_is_left_out():
    queried = np.array([NO_IDENTITY, 1, 2**64 - 1], np.uint64)
    assert not IdentityFilter().excluded(queried).any()
    assert not IdentityFilter().not_included(queried).any()
    # An empty list of identities to keep leaves out every identity.
    assert IdentityFilter(include=np.empty(0, np.uint64)).left_out(queried).tolist() == [
        False,
        True,
        True,
    ]
