import os
from collections.abc import Iterator

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, OpenFile, read_ranges


class Boxes(ContainerSource):
    """Files *.box of images of one byte each."""

    format = "boxes"
    what = "boxes (*.box)"

    @staticmethod
    def holds_images(name: str) -> bool:
        return name.endswith(".box")

    def refs_of(self, path: str) -> Iterator[Ref]:
        for offset in range(os.path.getsize(os.path.join(self.root, path))):
            yield Ref(f"{path}/{offset}", None, path, offset, 1)

    def read(self, refs):
        return read_ranges(self.root, refs)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.box", "a.BOX", "deep/c.box", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_each_container_is_a_task_sorted_by_path(root):
    assert Boxes(str(root)).tasks() == ["a.BOX", "b.box", "deep/c.box"]


def test_the_input_can_be_one_container(root):
    source = Boxes(str(root / "deep" / "c.box"))
    assert (source.root, source.tasks()) == (str(root / "deep"), ["c.box"])
    refs = list(source.refs("c.box"))
    assert b"".join(source.read(refs)) == b"deep/c.box"


def test_a_folder_with_the_suffix_is_no_container(root):
    (root / "folder.box").mkdir()
    (root / "folder.box" / "d.box").write_bytes(b"d")
    source = Boxes(str(root / "folder.box"))
    assert (source.root, source.tasks()) == (str(root / "folder.box"), ["d.box"])


def test_a_link_out_of_the_input_has_a_row_with_a_reason(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.box"
    outside.write_bytes(b"secret")
    (root / "link.box").symlink_to(outside)
    source = Boxes(str(root))
    (task,) = [task for task in source.tasks() if task.startswith("link.box")]
    (ref,) = source.refs(task)
    assert (ref.image_id, ref.path) == ("link.box", "link.box")
    assert ref.reason


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_an_input_without_containers_is_an_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"must be a directory that holds boxes \(\*\.box\)"):
        Boxes(str(tmp_path / name)).tasks()


def test_ranges_are_read_in_the_order_of_the_references(root):
    refs = [
        Ref("1", None, "deep/c.box", 5, 1),
        Ref("2", None, "b.box", 0, 3),
        Ref("3", None, "deep/c.box", 0, 4),
    ]
    assert list(read_ranges(str(root), refs)) == [b"c", b"b.b", b"deep"]


def test_ranges_that_cannot_be_read_have_a_reason_each(root):
    refs = [
        Ref("1", None, "b.box", 3, 9),
        Ref("2", None, "absent.box", 0, 1),
        Ref("3", None, "b.box", 0, MAX_BYTES + 1),
        Ref("4", None, "b.box", 0, 1),
    ]
    assert list(read_ranges(str(root), refs)) == [
        Unreadable("the file that holds it ends after 2 of its bytes"),
        Unreadable("cannot be read: No such file or directory"),
        Unreadable(f"file of {MAX_BYTES + 1} bytes is above the limit of {MAX_BYTES}"),
        b"b",
    ]


def test_one_file_is_open_at_a_time_and_none_at_the_end(root):
    with OpenFile(str(root)) as file:
        first = file.get("b.box")
        assert file.get("b.box") is first
        second = file.get("a.BOX")
        assert first.closed
        assert not second.closed
    assert second.closed
