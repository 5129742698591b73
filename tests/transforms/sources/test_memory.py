from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.memory import InMemory


def test_images_are_found_by_their_places():
    source = InMemory([b"a", b"b", b"c"])
    (task,) = source.tasks()
    refs = list(source.refs(task))
    assert list(source.read([refs[2], refs[0]])) == [b"c", b"a"]


def test_what_is_too_large_is_unreadable_and_takes_no_other_with_it():
    source = InMemory([bytes(MAX_BYTES + 1), b"b"])
    large, small = source.read(list(source.refs("")))
    assert isinstance(large, Unreadable)
    assert "above the limit" in large.reason
    assert small == b"b"
