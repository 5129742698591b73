"""Artifacts on object stores, where nothing is renamed: see `test_artifact` for disks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError, RunError, UsageError
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.storage import lease
from facemill.transforms.storage.stores import access

OPTIONS = {"size": 32}
MANIFEST = {"counts": {"listed": 1}, "files": []}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    """The folder of this machine's temporary files."""
    folder = tmp_path / "machine"
    monkeypatch.setattr(storage, "machine_folder", lambda: str(folder))
    folder.mkdir()
    return folder


def contents(output: str) -> dict[str, bytes]:
    return {name: storage.read_bytes(f"{output}/{name}") for name in storage.walk_files(output)}


def write(output: str, here: bool = True, content: bytes = b"content") -> writing.Work:
    with writing.begin(output, "dataset", OPTIONS, {"input": "/a"}, here=here) as work:
        work.files.write("index/part.bin", content)
        Path(work.path("report.html")).write_bytes(b"report") if here else None
        files = [artifact.file_entry(work.files.folder, "index/part.bin")]
        promote = work.written(["index", "report.html", "absent"])
        promote += [(f"{work.scratch}/report.html", "report.html")] if here else []
        work.commit({"counts": {}, "files": files}, promote, {"workers": 2})
    return work


def killed(output: str) -> None:
    """Leaves what a killed run leaves, and its lease."""

    with writing.begin(output, "dataset", OPTIONS, {"input": "/a"}) as work:
        work.files.write("index/part.bin", b"half")
        storage.write_atomically(f"{output}/checkpoints/one", b"epoch 1")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = {"run": "x", "host": "here", "process": gone.pid, "machine": lease._machine()}
    storage.write_atomically(f"{output}/.lease", json.dumps(left).encode())


@pytest.mark.moderate
@pytest.mark.parametrize("here", [True, False])
def test_a_complete_artifact_has_its_files_and_nothing_else(root, machine, here):
    write(root, here)
    names = ["index/part.bin", "manifest.json", *(["report.html"] if here else []), "run.json"]
    assert sorted(contents(root)) == names
    assert list(machine.iterdir()) == []
    manifest = artifact.read_manifest(root, "dataset")
    artifact.verify_files(root, manifest)
    assert not artifact.is_unfinished(root)
    assert artifact.has_manifest(root)


def test_the_manifest_equals_that_of_a_disk(root, tmp_path):
    with writing.begin(str(tmp_path / "out"), "dataset", OPTIONS, {"input": "/a"}) as work:
        work.files.write("index/part.bin", b"content")
        files = [artifact.file_entry(work.scratch, "index/part.bin")]
        work.commit({"counts": {}, "files": files}, work.written(["index"]), {"workers": 2})
    write(root)
    for name in ("manifest.json", "run.json"):
        assert storage.read_bytes(f"{root}/{name}") == (tmp_path / "out" / name).read_bytes()


def test_a_running_output_is_marked_and_held(root, monkeypatch):
    monkeypatch.setattr(lease, "_BEAT", 0.1)
    monkeypatch.setattr(lease, "_POLL", 0.03)
    with writing.begin(root, "dataset", OPTIONS) as work:
        assert artifact.is_unfinished(root)
        assert {".incomplete", ".lease"} < set(storage.names(root))
        with (
            pytest.raises(UsageError, match=r"must not be in use, but another .*run of process"),
            writing.begin(root, "dataset", OPTIONS),
        ):
            raise AssertionError("held twice")
        work.commit(MANIFEST, [], {})
    assert storage.names(root) == ["manifest.json", "run.json"]


def test_the_manifest_is_the_last_object(root, monkeypatch):
    store = access._store(root, access.parse(root))
    real, written = store.put, []

    def put(key, data, only_if=None):
        written.append(key.rpartition("/")[2])
        return real(key, data, only_if)

    monkeypatch.setattr(store, "put", put)
    write(root)
    written = [name for name in written if name != ".lease"]
    expected = [".incomplete", "running", "part.bin", "report.html", "run.json", "manifest.json"]
    assert written == expected


@pytest.mark.moderate
def test_a_complete_artifact_is_not_written_again(root):
    write(root)
    before = contents(root)
    with writing.begin(root, "dataset", OPTIONS, {"input": "/a"}) as work:
        assert work is None
    with (
        pytest.raises(UsageError, match="size: there 32, here 64"),
        writing.begin(root, "dataset", {"size": 64}, {"input": "/a"}),
    ):
        pass
    assert contents(root) == before


@pytest.mark.moderate
def test_what_a_killed_run_left_is_removed(root):
    killed(root)
    assert artifact.is_unfinished(root)
    write(root, here=False)
    assert sorted(contents(root)) == ["index/part.bin", "manifest.json", "run.json"]
    assert contents(root)["index/part.bin"] == b"content"


@pytest.mark.moderate
@pytest.mark.parametrize(("size", "restart"), [(32, False), (32, True), (64, True)])
def test_a_run_resumes_with_the_same_options_unless_it_starts_anew(root, size, restart):
    killed(root)
    with writing.begin(
        root, "dataset", {"size": size}, {"input": "/a"}, keep=["checkpoints"], restart=restart
    ) as work:
        kept = storage.is_file(f"{root}/checkpoints/one")
        work.commit(MANIFEST, [], {})
    assert kept == (not restart)


def test_work_of_a_run_with_other_options_is_not_removed(root):
    killed(root)
    with (
        pytest.raises(UsageError, match=r"holds checkpoints of a run with others \(size: there 32"),
        writing.begin(root, "dataset", {"size": 64}, {"input": "/a"}, keep=["checkpoints"]),
    ):
        pass
    assert storage.is_file(f"{root}/checkpoints/one")


def test_an_output_with_other_objects_is_refused_and_unchanged(root):
    storage.write_atomically(f"{root}/photos/a.jpg", b"mine")
    with (
        pytest.raises(UsageError, match=r"holds other files \(photos, ...\)"),
        writing.begin(root, "dataset", OPTIONS),
    ):
        pass
    assert contents(root) == {"photos/a.jpg": b"mine"}


def test_a_worker_that_comes_late_changes_nothing(root):
    work = write(root)
    before = contents(root)
    for name in ("index/part.bin", "index/late.bin"):
        with pytest.raises(NotSharedError):
            work.files.write(name, b"late")
    assert contents(root) == before


def test_a_worker_of_a_killed_run_is_refused_by_the_next_run(root):
    with writing.begin(root, "dataset", OPTIONS) as work:
        pass
    with writing.begin(root, "dataset", OPTIONS) as new:
        new.files.write("index/part.bin", b"new")
        with pytest.raises(NotSharedError):
            work.files.write("index/part.bin", b"old")
        new.commit(MANIFEST, [], {})
    assert contents(root)["index/part.bin"] == b"new"


def test_a_run_that_lost_its_lease_writes_no_manifest(root):
    with writing.begin(root, "dataset", OPTIONS) as work:
        storage.write_atomically(f"{root}/.lease", b'{"run": "other", "host": "there"}')
        with pytest.raises(RunError, match="another run took it over"):
            work.commit(MANIFEST, [], {})
    assert not storage.is_file(f"{root}/manifest.json")
    # The lease is the other run's.
    assert storage.is_file(f"{root}/.lease")


def test_the_scratch_of_this_machine_is_removed_even_after_a_kill(root, machine):
    seen = []
    for _ in range(2):
        with writing.begin(root, "dataset", OPTIONS) as work:
            assert os.listdir(work.scratch) == []
            assert Path(work.scratch).parent == machine
            Path(work.path("deep", "left")).write_bytes(b"x")
            seen.append(work.scratch)
        assert list(machine.iterdir()) == []
        # A kill leaves it.
        Path(work.scratch).mkdir()
        (Path(work.scratch) / "left").write_bytes(b"x")
    assert len(set(seen)) == 1


@pytest.mark.moderate
def test_a_scratch_that_all_machines_see_is_on_the_store(root):
    with writing.begin(root, "dataset", OPTIONS, here=False) as work:
        assert work.scratch.startswith(f"{root}/.work-")
        for name in ("report.html", "parts/a", "parts/b"):
            storage.write_atomically(f"{work.scratch}/{name}", name.encode())
        promote = [(f"{work.scratch}/{name}", name) for name in ("report.html", "parts")]
        work.commit(MANIFEST, promote, {})
    expected = ["manifest.json", "parts/a", "parts/b", "report.html", "run.json"]
    assert sorted(contents(root)) == expected
    assert contents(root)["report.html"] == b"report.html"


def test_changed_and_missing_objects_are_reported(root):
    write(root)
    manifest = artifact.read_manifest(root, "dataset")
    artifact.check_sizes(root, manifest["files"])
    storage.write_atomically(f"{root}/index/part.bin", b"changed")
    with pytest.raises(RunError, match=r"must have the SHA-256 of its manifest"):
        artifact.verify_files(root, manifest)
    storage.remove(f"{root}/index/part.bin")
    with pytest.raises(RunError, match="must exist, but is missing"):
        artifact.verify_files(root, manifest)
    with pytest.raises(RunError, match="must exist, but is missing"):
        artifact.check_sizes(root, manifest["files"])


def test_a_local_copy_has_the_files_that_are_asked_for(root, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "cache"))
    write(root)
    manifest = artifact.read_manifest(root, "dataset")
    folder = Path(artifact.local_copy(root, manifest, "index/"))
    assert (folder / "index/part.bin").read_bytes() == b"content"
    storage.write_atomically(f"{root}/index/part.bin", b"damaged")
    monkeypatch.setenv("FACEMILL_CACHE", str(tmp_path / "another"))
    with pytest.raises(RunError, match="must have the SHA-256 of its manifest"):
        artifact.local_copy(root, manifest)
