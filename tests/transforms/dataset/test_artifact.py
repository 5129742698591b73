import pytest

from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact
from tests.transforms.dataset.small_artifact import write


def test_fingerprint_golden_value():
    # Models and embeddings refer to the artifact they were made from by this number.
    manifest = {"kind": "dataset", "options": {"seed": 0, "split": [["train", 0.9]]}, "name": "Zoë"}
    expected = "1c1cd7849f93720da254944d943275dd6923d4823835ba057965695ae96163ba"
    assert artifact.fingerprint(manifest) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be readable JSON"),
        (b"\xff\xfe", "must be readable JSON"),
        (b"[]", "got kind None"),
        (b'{"kind": "model", "schema_version": 1}', "got kind 'model'"),
        (b'{"kind": "dataset"}', "must have schema version 1, got None"),
        (b'{"kind": "dataset", "schema_version": 2}', "must have schema version 1, got 2"),
    ],
)
def test_an_invalid_manifest_is_refused(tmp_path, content, message):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(UsageError, match="must") as refused:
        artifact.read_manifest(str(tmp_path), "dataset")
    assert message in str(refused.value)


def test_a_missing_manifest_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(UsageError, match=r"has no manifest\.json"):
            artifact.read_manifest(str(path), "dataset")


def test_a_directory_of_partitions_is_named_as_such(tmp_path):
    for name in ("2026-11-24", "2026-11-25"):
        write(tmp_path / name)
    (tmp_path / "note.txt").touch()
    with pytest.raises(UsageError, match=r"such as 2026-11-25, or join them by `facemill compact`"):
        artifact.read_manifest(str(tmp_path), "embeddings")
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        artifact.read_manifest(str(tmp_path), "model")


@pytest.mark.parametrize(
    "relative",
    ["", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", ".", "a/./b"],
)
def test_a_name_that_leads_out_of_an_artifact_is_refused(relative):
    with pytest.raises(RunError, match="must lie under it"):
        artifact.resolve("/root", relative)


def test_names_under_an_artifact_are_resolved():
    assert artifact.resolve("/data", "a/b.txt") == "/data/a/b.txt"
    assert artifact.resolve("/data", "..a/b..") == "/data/..a/b.."


def test_changed_and_missing_files_are_reported(tmp_path):
    write(tmp_path / "out")
    manifest = artifact.read_manifest(str(tmp_path / "out"), "dataset")
    path = tmp_path / "out/index/part.bin"
    for data in (b"c0ntent", b"content and more", b"", None):
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(RunError, match=r"part\.bin must (have|exist)"):
            artifact.verify_files(str(tmp_path / "out"), manifest)
        artifact.verify_files(str(tmp_path / "out"), manifest, prefix="train/")
        path.touch()
    manifest["files"][0]["path"] = "../out/index/part.bin"
    with pytest.raises(RunError, match="must lie under it"):
        artifact.verify_files(str(tmp_path / "out"), manifest)


def test_sizes_are_checked_without_reading(tmp_path):
    write(tmp_path / "out")
    entries = artifact.read_manifest(str(tmp_path / "out"), "dataset")["files"]
    artifact.check_sizes(str(tmp_path / "out"), entries)
    part = tmp_path / "out" / "index" / "part.bin"
    part.write_bytes(b"c0ntent")
    artifact.check_sizes(str(tmp_path / "out"), entries)
    part.write_bytes(b"contents")
    with pytest.raises(RunError, match="must have the 7 bytes of its manifest, got 8"):
        artifact.check_sizes(str(tmp_path / "out"), entries)
    part.unlink()
    with pytest.raises(RunError, match="is missing"):
        artifact.check_sizes(str(tmp_path / "out"), entries)
