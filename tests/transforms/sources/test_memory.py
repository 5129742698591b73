from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.memory import InMemory


def test_read_finds_each_image_by_the_offset_of_its_reference():
    source = InMemory([b"a", b"b", b"c"])
    (task,) = source.tasks()
    refs = list(source.refs(task))
    assert list(source.read([refs[2], refs[0]])) == [b"c", b"a"]


def test_an_image_above_the_limit_is_unreadable_and_the_next_one_is_read():
    source = InMemory([bytes(MAX_BYTES + 1), b"b"])
    large, small = source.read(list(source.refs("")))
    assert isinstance(large, Unreadable)
    assert "above the limit" in large.reason
    assert small == b"b"
