import pickle

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.pair_bin import PairBin, image_in
from facemill.transforms.sources.registry import build, guess
from tests.pair_files import of_python_2

IMAGES = [b"one", b"two" * 200, b"three", b"four"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "lfw.bin").write_bytes(of_python_2(IMAGES, [True, False]))
    (tmp_path / "sub/x.BIN").write_bytes(pickle.dumps((IMAGES[:2], [True]), 4))
    (tmp_path / "bad.bin").write_bytes(b"cos\nsystem\n(S'x'\ntR.")
    return tmp_path


def refs(source):
    return [ref for task in source.tasks() for ref in source.refs(task)]


def test_images_are_numbered_and_read_where_they_lie(folder):
    source = build("bin", str(folder))
    bad, *rest = refs(source)
    assert bad.reason.code == ReasonCode.DAMAGED_CONTAINER
    assert bad.reason == (
        "is no benchmark of insightface: it names os.system, which no list of images and labels "
        "needs"
    )
    assert [ref.image_id for ref in rest] == [
        *(f"lfw.bin/00000{n}" for n in range(4)),
        "sub/x.BIN/000000",
        "sub/x.BIN/000001",
    ]
    assert {ref.identity for ref in rest} == {None}
    assert list(source.read(rest)) == IMAGES + IMAGES[:2]
    assert image_in("lfw.bin", 1) == rest[1].image_id


def test_bytes_that_were_written_as_text_are_read_as_bytes(tmp_path):
    images = [b"\xff\xd8\xff\x00" * 99, b"", b"ascii", bytes(range(256))]
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps((images, [True, False]), 2))
    source = build("bin", str(path))
    found = refs(source)
    assert list(source.read(found)) == images
    path.write_bytes(b"\xff" * path.stat().st_size)
    unreadable = [isinstance(one, Unreadable) for one in source.read(found)]
    assert unreadable == [True, False, True, True]


def test_a_file_alone_is_guessed_by_its_suffix_and_has_the_same_names(folder):
    path = str(folder / "lfw.bin")
    assert guess(path) == "bin"
    source = build("bin", path)
    assert isinstance(source, PairBin)
    assert [ref.image_id for ref in refs(source)][:2] == ["lfw.bin/000000", "lfw.bin/000001"]


def test_a_file_that_shrank_or_a_folder_without_one_is_told(folder, tmp_path):
    source = build("bin", str(folder))
    found = refs(source)[1:5]
    (folder / "lfw.bin").write_bytes(b"")
    assert all(isinstance(one, Unreadable) for one in source.read(found))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"be a directory that holds \*\.bin files"):
        build("bin", str(tmp_path / "empty")).tasks()
