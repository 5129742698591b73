import os
from pathlib import Path

import pytest

from facemill.transforms import storage
from facemill.transforms.storage import mirror
from facemill.transforms.storage.mirror import Mirror, upload_folder


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """The names of uploaded files, in order."""
    names: list[str] = []
    real = mirror.upload

    def upload(path: str, url: str) -> None:
        real(path, url)
        names.append(os.path.basename(url))

    monkeypatch.setattr(mirror, "upload", upload)
    return names


def files(root: str) -> dict[str, bytes]:
    return {name: storage.read_bytes(f"{root}/{name}") for name in storage.walk_files(root)}


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def test_only_changes_are_uploaded(tmp_path, root, sent):
    put(tmp_path, "epoch-1/weights", b"one")
    put(tmp_path, "log", b"a")
    kept = Mirror(str(tmp_path), f"{root}/")
    kept.push()
    assert files(root) == {"epoch-1/weights": b"one", "log": b"a"}
    assert sorted(sent) == ["log", "weights"]
    sent.clear()
    kept.push()
    assert sent == []
    put(tmp_path, "log", b"a, b")
    put(tmp_path, "epoch-2/weights", b"two")
    (tmp_path / "epoch-1/weights").unlink()
    kept.push()
    assert sorted(sent) == ["log", "weights"]
    assert files(root) == {"epoch-2/weights": b"two", "log": b"a, b"}


def test_the_file_that_points_to_the_others_is_uploaded_last_and_they_go_after_it(
    tmp_path, root, sent, monkeypatch
):
    kept = Mirror(str(tmp_path), root, last=["checkpoint"])
    for epoch in range(3):
        for name in (f"a-{epoch}", "checkpoint", f"z-{epoch}"):
            put(tmp_path, name, b"%d" % epoch)
        kept.push()
        assert sent[-1] == "checkpoint"
        assert sorted(sent[:-1]) == [f"a-{epoch}", f"z-{epoch}"]
        sent.clear()
    # If a run is killed before the pointer is written, what the old one points to is there.
    monkeypatch.setattr(mirror, "upload", lambda path, url: os.stat("/none"))
    (tmp_path / "a-2").unlink()
    put(tmp_path, "checkpoint", b"3, not uploaded")
    with pytest.raises(FileNotFoundError):
        kept.push()
    assert files(root)["a-2"] == b"2"
    assert files(root)["checkpoint"] == b"2"


def test_a_push_that_failed_is_made_up_for_by_the_next(tmp_path, root, monkeypatch):
    put(tmp_path, "a", b"a")
    kept = Mirror(str(tmp_path), root)
    with monkeypatch.context() as broken:
        broken.setattr(mirror, "upload", lambda path, url: os.stat("/none"))
        with pytest.raises(FileNotFoundError):
            kept.push()
    kept.push()
    assert files(root) == {"a": b"a"}


def test_another_machine_goes_on_with_what_was_pushed(tmp_path, root, sent):
    put(tmp_path / "here", "epoch-1/weights", b"one")
    put(tmp_path / "here", "checkpoint", b"1")
    Mirror(str(tmp_path / "here"), root).push()
    put(tmp_path / "there", "old", b"of an earlier try")
    there = Mirror(str(tmp_path / "there"), root)
    there.pull()
    names = {path.name for path in (tmp_path / "there").rglob("*") if path.is_file()}
    assert names == {"weights", "checkpoint"}
    assert (tmp_path / "there/epoch-1/weights").read_bytes() == b"one"
    sent.clear()
    put(tmp_path / "there", "checkpoint", b"2")
    there.push()
    assert sent == ["checkpoint"]
    assert files(root) == {"epoch-1/weights": b"one", "checkpoint": b"2"}


def test_an_empty_folder_is_pulled_where_nothing_was_pushed(tmp_path, root):
    Mirror(str(tmp_path / "there"), root).pull()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_file_and_a_folder_are_uploaded(tmp_path, root):
    put(tmp_path, "model/variables/a #1", b"x" * 1000)
    put(tmp_path, "model/saved", b"y")
    upload_folder(str(tmp_path / "model"), f"{root}/model")
    upload_folder(str(tmp_path / "model/saved"), f"{root}/one")
    expected = {"model/variables/a #1": b"x" * 1000, "model/saved": b"y", "one": b"y"}
    assert files(root) == expected
