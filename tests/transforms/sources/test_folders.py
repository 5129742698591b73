import os
import random
from pathlib import Path

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.folders import NO_FOLDER, Folders, Lfw
from facemill.transforms.sources.reading import too_large
from tests.reasons import because


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def _refs(source: Folders) -> list[Ref]:
    return [ref for task in source.tasks() for ref in source.refs(task)]


def test_every_file_is_listed_with_its_folder_as_identity(tmp_path):
    files = {
        "Zoë/a.jpg": b"zoe",
        "Ada L/2019/b.png": b"deep",
        "Ada L/.hidden.jpg": b"",
        "100% me@N01/c": b"odd",
    }
    source = Folders(str(_write(tmp_path, files)))
    refs = _refs(source)
    assert {ref.image_id: ref.identity for ref in refs} == {
        name: name.split("/")[0] for name in files
    }
    assert all(not ref.reason and ref.path == ref.image_id for ref in refs)
    assert dict(zip([r.image_id for r in refs], source.read(refs), strict=True)) == files


def test_files_that_were_never_meant_as_images_are_ignored_and_are_no_identity(tmp_path):
    codes = {
        "Ada/1.jpg": None,
        "Ada/notes.txt": "sidecar_file",
        "Ada/.hidden": "hidden_file",
        "Ada/._1.jpg": "system_file",
        "__MACOSX/Ada/._1.jpg": "system_file",
        "__MACOSX/Ada/1.jpg": "system_file",
        ".DS_Store": "system_file",
        "README": "sidecar_file",
        "LICENSE.md": "sidecar_file",
        "loose.jpg": "no_identity_folder",
        "bare": "no_identity_folder",
    }
    refs = _refs(Folders(str(_write(tmp_path, dict.fromkeys(codes, b"x")))))
    assert {ref.image_id: ref.reason and ref.reason.code.value for ref in refs} == codes
    assert {ref.identity for ref in refs} == {"Ada", None}
    assert [ref.image_id for ref in refs if ref.identity] == ["Ada/1.jpg"]


def test_lfw_has_the_layout_of_its_archive(tmp_path):
    files = {"Ada_Lovelace/Ada_Lovelace_0001.jpg": b"1", "Ada_Lovelace/Ada_Lovelace_0002.jpg": b"2"}
    source = Lfw(str(_write(tmp_path, files)))
    assert _refs(source) == [Ref(name, "Ada_Lovelace", name) for name in files]


def test_files_are_listed_in_the_order_of_their_names_not_of_the_disk(tmp_path, monkeypatch):
    names = ["b/2.jpg", "b/1.jpg", "b-c/1.jpg", "b/1/x.jpg", "b/1-1/x.jpg", "B/1.jpg", "a/9.jpg"]
    _write(tmp_path, dict.fromkeys(names, b"x"))
    real = os.scandir

    class Shuffled:
        def __init__(self, path):
            with real(path) as found:
                self.items = list(found)
            random.Random(7).shuffle(self.items)

        def __enter__(self):
            return iter(self.items)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(storage.local.os, "scandir", Shuffled)
    assert [ref.image_id for ref in _refs(Folders(str(tmp_path)))] == sorted(names)


def test_a_file_beside_the_folders_has_no_identity(tmp_path):
    _write(tmp_path, {"loose.jpg": b"x", "Ada/1.jpg": b"x"})
    assert Ref("loose.jpg", None, "loose.jpg", reason=NO_FOLDER) in _refs(Folders(str(tmp_path)))


def test_only_links_to_files_inside_the_input_are_followed(tmp_path):
    _write(tmp_path, {"in/Ada/1.jpg": b"ada", "in/Bob/1.jpg": b"bob", "secret/key": b"key"})
    root = tmp_path / "in"
    (root / "Ada/2.jpg").symlink_to("../Bob/1.jpg")
    (root / "Ada/out.jpg").symlink_to(tmp_path / "secret/key")
    (root / "Ada/loop").symlink_to("..")
    (root / "Ada/self").symlink_to("self")
    (root / "Ada/dead").symlink_to("nothing")
    (root / "Eve").symlink_to(tmp_path / "secret")
    (root / "Eva").symlink_to("Bob")
    found = {ref.image_id: ref.reason for ref in _refs(Folders(str(root)))}
    assert found == {
        "Ada/1.jpg": None,
        "Ada/2.jpg": None,
        "Ada/dead": storage.DEAD_LINK,
        "Ada/loop": storage.LINK_TO_FOLDER,
        "Ada/out.jpg": storage.LINK_OUT,
        "Ada/self": storage.DEAD_LINK,
        "Bob/1.jpg": None,
        "Eva": storage.LINK_TO_FOLDER,
        "Eve": storage.LINK_OUT,
    }


def test_the_input_itself_may_be_a_link(tmp_path):
    _write(tmp_path, {"real/Ada/1.jpg": b"ada"})
    (tmp_path / "link").symlink_to("real")
    source = Folders(str(tmp_path / "link"))
    refs = _refs(source)
    assert refs == [Ref("Ada/1.jpg", "Ada", "Ada/1.jpg")]
    assert list(source.read(refs)) == [b"ada"]


def test_a_pipe_is_listed_with_a_reason_and_not_opened(tmp_path):
    (tmp_path / "Ada").mkdir()
    os.mkfifo(tmp_path / "Ada/pipe.jpg")
    assert [ref.reason for ref in _refs(Folders(str(tmp_path)))] == [storage.NOT_A_FILE]


def test_names_that_are_not_utf8_are_listed_and_their_tasks_are_utf8(tmp_path):
    root = os.fsencode(tmp_path)
    os.mkdir(root + b"/Ad\xe9")
    os.mkdir(root + b"/Bob")
    for name in (b"/Ad\xe9/1.jpg", b"/Bob/\xff.jpg", b"/Bob/2.jpg"):
        Path(os.fsdecode(root + name)).write_bytes(b"x")
    source = Folders(str(tmp_path))
    for task in source.tasks():
        task.encode("utf-8")
    assert _refs(source) == [
        Ref("Ad\\udce9/./1.jpg", "Ad\\udce9", "Ad\\udce9/./1.jpg", reason=storage.NOT_UTF8),
        Ref("Bob/2.jpg", "Bob", "Bob/2.jpg"),
        Ref("Bob/./\\udcff.jpg", "Bob", "Bob/./\\udcff.jpg", reason=storage.NOT_UTF8),
    ]


def test_a_file_beside_the_folders_whose_name_is_not_utf8_has_no_identity(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"x")
    name = "./\\udcff.jpg"
    assert _refs(Folders(str(tmp_path))) == [Ref(name, None, name, reason=storage.NOT_UTF8)]


def test_a_folder_that_cannot_be_listed_has_a_row_with_a_reason(tmp_path, monkeypatch):
    _write(tmp_path, {"Ada/1.jpg": b"x", "Bob/shut/1.jpg": b"x"})
    real = os.scandir

    def refusing(path):
        if str(path).rstrip("/").endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(storage.local.os, "scandir", refusing)
    refs = _refs(Folders(str(tmp_path)))
    assert [(r.image_id, r.identity, r.reason) for r in refs] == [
        ("Ada/1.jpg", "Ada", None),
        ("Bob/shut", "Bob", "folder cannot be listed: Permission denied"),
    ]


def test_a_missing_or_too_large_file_is_unreadable_and_the_others_are_read(tmp_path):
    _write(tmp_path, {"Ada/1.jpg": b"x", "Ada/2.jpg": b"", "Ada/3.jpg": b"z"})
    with (tmp_path / "Ada/2.jpg").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    source = Folders(str(tmp_path))
    refs = _refs(source)
    (tmp_path / "Ada/1.jpg").unlink()
    assert list(source.read(refs)) == [
        Unreadable(because("cannot be read: No such file or directory")),
        Unreadable(too_large(MAX_BYTES + 1)),
        b"z",
    ]


def test_an_absent_or_empty_input_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        Folders(str(tmp_path / "none")).tasks()
    with pytest.raises(UsageError, match="is empty"):
        Folders(str(tmp_path)).tasks()
