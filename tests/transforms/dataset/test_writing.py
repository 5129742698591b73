import errno
import json
import os
import re
from pathlib import Path

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact, writing
from tests.transforms.dataset.small_artifact import OPTIONS, write


def interrupted(output, options=OPTIONS, inputs=None) -> None:
    """Begins an artifact and ends without a commit, as a killed run does."""
    with writing.begin(str(output), "dataset", options, inputs=inputs) as work:
        assert work is not None
        Path(work.path("index", "half.bin")).write_bytes(b"half")
        (output / "checkpoints").mkdir(exist_ok=True)
        (output / "checkpoints" / "one").write_bytes(b"epoch 1")
        (output / "index").mkdir()


def test_the_steps_of_writing_an_artifact(tmp_path):
    output = tmp_path / "deep" / "out"
    with writing.begin(str(output), "dataset", OPTIONS, inputs={"input": "/photos"}) as work:
        assert artifact.is_unfinished(str(output))
        assert work.output == str(output)
        assert Path(work.scratch).parent == output
        Path(work.path("a", "b")).write_bytes(b"1")
        files = [artifact.file_entry(work.scratch, "a/b")]
        with pytest.raises(UsageError, match=r"has no manifest\.json"):
            artifact.read_manifest(str(output), "dataset")
        promote = [(os.path.join(work.scratch, "a"), "a")]
        work.commit({"counts": {"listed": 1}, "files": files}, promote, {"workers": 2})
    assert sorted(os.listdir(output)) == ["a", "manifest.json", "run.json"]
    assert not artifact.is_unfinished(str(output))
    manifest = artifact.read_manifest(str(output), "dataset")
    assert manifest["options"] == {"size": 32, "split": [["train", 1.0]]}
    assert (manifest["kind"], manifest["schema_version"]) == ("dataset", 1)
    assert manifest["created_by"].startswith("facemill ")
    assert str(tmp_path) not in (output / "manifest.json").read_text()
    run = json.loads((output / "run.json").read_text())
    assert run == {"inputs": {"input": "/photos"}, "workers": 2}
    artifact.verify_files(str(output), manifest)


def test_the_manifest_is_written_after_all_else_is_synced(tmp_path, monkeypatch):
    happened = []
    fsync, replace, remove = os.fsync, os.replace, os.remove

    def synced(descriptor: int) -> None:
        happened.append(("synced", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def renamed(source: str, target: str) -> None:
        happened.append(("renamed", os.path.basename(target)))
        replace(source, target)

    def removed(path: str) -> None:
        happened.append(("removed", os.path.basename(path)))
        remove(path)

    output = tmp_path / "out"
    with writing.begin(str(output), "dataset", OPTIONS) as work:
        for name in ("index/a", "index/deeper/b", "report.html"):
            Path(work.path(name)).write_bytes(name.encode())
        promote = [(os.path.join(work.scratch, name), name) for name in ("index", "report.html")]
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", renamed)
        monkeypatch.setattr(os, "remove", removed)
        work.commit({"counts": {}, "files": []}, promote, {})
    monkeypatch.undo()
    manifest, gone = (
        happened.index(step) for step in (("renamed", "manifest.json"), ("removed", ".incomplete"))
    )
    names = ["index", "index/a", "index/deeper", "index/deeper/b", "report.html", "run.json", "."]
    for name in names:
        assert ("synced", os.stat(output / name).st_ino) in happened[:manifest], name
    folder = ("synced", os.stat(output).st_ino)
    # The names of all files are synced before the manifest's, and that before the mark is removed.
    assert happened.index(("renamed", "run.json")) < happened.index(folder) < manifest
    assert folder in happened[manifest:gone]


def test_equal_artifacts_have_equal_bytes_and_fingerprints(tmp_path):
    write(tmp_path / "a", {"x": 1, "y": 2})
    write(tmp_path / "b", {"y": 2, "x": 1})
    write(tmp_path / "c", {"x": 1, "y": 3})
    one, other, third = (
        artifact.read_manifest(str(tmp_path / name), "dataset") for name in ("a", "b", "c")
    )
    assert (tmp_path / "a/manifest.json").read_bytes() == (
        tmp_path / "b/manifest.json"
    ).read_bytes()
    assert artifact.fingerprint(one) == artifact.fingerprint(dict(reversed(other.items())))
    assert artifact.fingerprint(one) != artifact.fingerprint(third)


def test_a_complete_artifact_is_not_written_again(tmp_path):
    assert write(tmp_path / "out")
    assert not write(tmp_path / "out", content=b"other")
    assert (tmp_path / "out/index/part.bin").read_bytes() == b"content"


def test_another_artifact_is_not_overwritten(tmp_path):
    write(tmp_path / "out", inputs={"input": "/a"})
    with pytest.raises(UsageError, match="size: there 32, here 64"):
        write(tmp_path / "out", {**OPTIONS, "size": 64}, inputs={"input": "/a"})
    with pytest.raises(UsageError, match="input: there '/a', here '/b'"):
        write(tmp_path / "out", inputs={"input": "/b"})
    with (
        pytest.raises(UsageError, match="must be a model artifact, got kind 'dataset'"),
        writing.begin(str(tmp_path / "out"), "model", OPTIONS),
    ):
        pass


def test_a_mark_beside_a_manifest_is_removed(tmp_path):
    write(tmp_path / "out")
    (tmp_path / "out" / ".incomplete").write_text("{}")
    assert not artifact.is_unfinished(str(tmp_path / "out"))
    assert not write(tmp_path / "out")
    assert not (tmp_path / "out" / ".incomplete").exists()


def test_files_of_a_killed_run_are_removed(tmp_path):
    output = tmp_path / "out"
    interrupted(output)
    (output / ".incomplete.tmp-123").write_bytes(b"")
    assert artifact.is_unfinished(str(output))
    assert write(output)
    assert sorted(os.listdir(output)) == ["index", "manifest.json", "run.json"]
    assert os.listdir(output / "index") == ["part.bin"]


def test_a_run_resumes_with_the_same_options(tmp_path):
    output = tmp_path / "out"
    interrupted(output)
    write(output, keep=["checkpoints"])
    assert (output / "checkpoints" / "one").read_bytes() == b"epoch 1"


def test_work_of_a_run_with_other_options_is_removed_only_on_request(tmp_path):
    output = tmp_path / "out"
    interrupted(output)
    other = {**OPTIONS, "size": 64}
    with pytest.raises(UsageError, match=r"of a run with others \(size: there 32, here 64"):
        write(output, other, keep=["checkpoints"])
    assert (output / "checkpoints" / "one").read_bytes() == b"epoch 1"
    # The refusal leaves the mark of the first run, which can still go on.
    with writing.begin(str(output), "dataset", OPTIONS, keep=["checkpoints"]) as work:
        assert work is not None
    assert (output / "checkpoints" / "one").exists()
    with writing.begin(str(output), "dataset", other, keep=["checkpoints"], restart=True) as work:
        assert work is not None
        assert not (output / "checkpoints").exists()


def test_a_restart_leaves_the_work_of_a_run_with_the_same_options_too(tmp_path):
    interrupted(tmp_path)
    with writing.begin(str(tmp_path), "dataset", OPTIONS, keep=["checkpoints"], restart=True):
        assert not (tmp_path / "checkpoints").exists()


def test_a_run_without_work_makes_room_for_other_options(tmp_path):
    with writing.begin(str(tmp_path / "out"), "dataset", OPTIONS) as work:
        assert work is not None
    assert write(tmp_path / "out", {**OPTIONS, "size": 64}, keep=["checkpoints"])


@pytest.mark.parametrize("complete", [True, False])
def test_an_input_that_the_options_identify_may_move(tmp_path, complete):
    before, now = {"dataset": "/a", "pairs": "/p"}, {"dataset": "/b", "pairs": "/p"}
    output = tmp_path / "out"
    (write if complete else interrupted)(output, inputs=before)

    def begin(*identified: str):
        return writing.begin(
            str(output), "dataset", OPTIONS, now, ["checkpoints"], identified=identified
        )

    for others in ((), ("pairs",)):
        with pytest.raises(UsageError, match="dataset: there '/a', here '/b'"), begin(*others):
            pass
    with begin("dataset") as work:
        assert (work is None) == complete
        assert complete or (output / "checkpoints" / "one").exists()


def test_what_systems_leave_in_a_folder_is_not_in_the_way(tmp_path):
    (tmp_path / "out").mkdir()
    for name in (".DS_Store", "Thumbs.db", "._out"):
        (tmp_path / "out" / name).write_bytes(b"view")
    write(tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").exists()
    assert (tmp_path / "out" / ".DS_Store").read_bytes() == b"view"
    listed = artifact.unlisted_files(str(tmp_path), [], "out")
    assert not {".DS_Store", "Thumbs.db", "._out"} & {name.split("/")[-1] for name in listed}


def test_an_output_with_other_files_is_refused_and_unchanged(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holds other files \(photo\.jpg, \.\.\.\)"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    interrupted(tmp_path / "out")
    with (
        pytest.raises(UsageError, match="left by an unfinished run of the same command"),
        writing.begin(str(tmp_path / "out"), "model", OPTIONS),
    ):
        pass
    assert (tmp_path / "out/checkpoints/one").exists()


def test_an_output_in_use_is_refused(tmp_path):
    with writing.begin(str(tmp_path / "out"), "dataset", OPTIONS) as work:
        with pytest.raises(UsageError, match="another facemill run is writing"):
            write(tmp_path / "out")
        assert os.path.isdir(work.scratch)
    assert write(tmp_path / "out")


def test_an_existing_output_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(path: str, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{path}.tmp-1")

    monkeypatch.setattr(artifact.storage, "write_atomically", refuse)
    message = (
        rf"`output` .*, got {re.escape(str(tmp_path))} \(Permission denied\); give another path"
    )
    with (
        pytest.raises(UsageError, match=message),
        writing.begin(str(tmp_path), "dataset", OPTIONS),
    ):
        pass


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_an_output_that_cannot_be_a_directory_is_refused(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="`output` must be a directory that can be written"):
        write(tmp_path / name)


@pytest.mark.parametrize("before", [None, "empty", "unfinished"])
def test_a_check_that_fails_leaves_the_output_as_it_was(tmp_path, before):
    output = tmp_path / "out"
    if before == "empty":
        output.mkdir()
    elif before == "unfinished":
        interrupted(output)

    def check() -> None:
        # It comes before the mark, and holds the output meanwhile.
        assert (output / artifact.MARK).exists() == (before == "unfinished")
        with (
            pytest.raises(UsageError, match="another facemill run"),
            writing.begin(str(output), "dataset", OPTIONS),
        ):
            pass
        raise UsageError("no")

    with (
        pytest.raises(UsageError, match="no"),
        writing.begin(str(output), "dataset", OPTIONS, keep=["checkpoints"], check=check),
    ):
        pass
    assert output.exists() == (before is not None)
    assert (output / "checkpoints" / "one").exists() == (before == "unfinished")
