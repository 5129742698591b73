import threading

import pytest

from facemill.transforms.core.read_ahead import ahead


@pytest.mark.parametrize("most", [1, 3])
def test_items_come_in_their_order(most):
    assert list(ahead(iter(range(100)), most)) == list(range(100))
    assert list(ahead(iter([None, 0]), most)) == [None, 0]
    assert list(ahead(iter([]), most)) == []


def test_an_item_is_taken_while_the_caller_has_the_one_before():
    taken = threading.Event()

    def items():
        yield 1
        taken.set()
        yield 2

    found = ahead(items())
    assert next(found) == 1
    assert taken.wait(60)
    assert list(found) == [2]


def test_no_more_items_are_taken_than_may_wait():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    for number in ahead(items(), most=2):
        # That of the caller, two that wait, and the one that the thread holds.
        assert len(taken) <= number + 4


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("damaged")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_a_caller_who_stops_ends_the_thread():
    before = threading.active_count()
    found = ahead(iter(range(100)))
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before
