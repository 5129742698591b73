from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.sources.distinct import Distinct


@settings(deadline=None, max_examples=50)
@given(names=st.lists(st.text(max_size=2)))
def test_add_is_true_only_for_the_first_of_equal_names(names):
    seen, distinct = set(), Distinct()
    for name in names:
        assert distinct.add(name) == (name not in seen)
        seen.add(name)


def test_growing_keeps_all_names():
    distinct = Distinct()
    assert all(distinct.add(str(number)) for number in range(5000))
    assert not any(distinct.add(str(number)) for number in range(5000))


@settings(deadline=None, max_examples=50)
@given(names=st.lists(st.sampled_from(["a", "a#2", "a#2#2", "a#3", "b"])))
def test_claimed_names_are_all_different(names):
    distinct = Distinct()
    claimed = [distinct.claim(name) for name in names]
    assert len(set(claimed)) == len(claimed)
    assert all(one.startswith(name) for one, name in zip(claimed, names, strict=True))


def test_the_first_of_equal_names_is_claimed_unchanged():
    distinct = Distinct()
    assert [distinct.claim(name) for name in ("a", "a", "a", "b")] == ["a", "a#2", "a#3", "b"]
