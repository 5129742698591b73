import errno
import io

import pytest

from facemill.transforms import storage
from facemill.transforms.sources import reading
from facemill.transforms.sources.base import Unreadable


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 5)


@pytest.mark.parametrize("content", [b"", b"1234", b"12345"])
def test_files_up_to_the_limit_are_read(tmp_path, content):
    (tmp_path / "image").write_bytes(content)
    assert list(reading.read_images(str(tmp_path), ["image", "image"])) == [content] * 2


def test_a_file_above_the_limit_has_a_reason(tmp_path):
    (tmp_path / "image").write_bytes(b"123456")
    expected = Unreadable("file of 6 bytes is above the limit of 5")
    assert list(reading.read_images(str(tmp_path), ["image"])) == [expected]


def test_an_absent_file_has_a_reason_without_a_path_of_the_machine(tmp_path):
    (found,) = reading.read_images(str(tmp_path), ["image"])
    assert found == Unreadable("cannot be read: No such file or directory")


def test_files_of_a_store_are_read_in_order_with_reasons_in_their_places(root):
    contents = {"a": b"12345", "é [1]#": b"", "large": b"1" * 60_000, "z": b"z"}
    for name, data in contents.items():
        storage.write_atomically(f"{root}/{name}", data)
    expected = [
        b"12345",
        Unreadable("cannot be read: no such object"),
        Unreadable("file of 60000 bytes is above the limit of 5"),
        b"",
        b"z",
    ]
    assert list(reading.read_images(root, ["a", "none", "large", "é [1]#", "z"])) == expected


def test_a_stream_above_the_limit_is_not_read():
    class Stream(io.BytesIO):
        def read(self, size=-1):
            raise AssertionError("the bytes must not be read")

    found = reading.read_whole(Stream(b"123456"))
    assert found == Unreadable("file of 6 bytes is above the limit of 5")


def test_a_stream_is_read_from_its_start():
    stream = io.BytesIO(b"1234")
    stream.seek(2)
    assert reading.read_whole(stream) == b"1234"


def test_the_reason_of_an_error_with_and_without_a_text_of_the_system():
    error = OSError(errno.EACCES, "Permission denied", "/home/somebody/photo.jpg")
    assert reading.cannot_read(error) == "cannot be read: Permission denied"
    assert reading.cannot_read(OSError("the store\nrefused")).startswith(
        "cannot be read: the store"
    )
    assert "\n" not in reading.cannot_read(OSError("the store\nrefused"))
