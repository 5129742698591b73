"""An artifact that is replaced: who reads it by its manifest sees the old or the new version."""

import json
from pathlib import Path

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.storage import LEASE


def write(output: Path, *names: str, text: str) -> None:
    """Writes a version with some files that all hold a text."""
    with writing.begin(str(output), "things", {}, replaces=True) as work:
        assert work is not None
        for name in names:
            work.files.write(name, text.encode())
        files = [{"path": work.placed(name), "bytes": len(text), "sha256": ""} for name in names]
        tops = sorted({name.split("/")[0] for name in names})
        work.commit({"counts": {}, "files": files}, work.written(tops), {})


def be_killed(output: Path) -> None:
    """Writes a file of a version that never becomes complete."""
    with writing.begin(str(output), "things", {}, replaces=True) as work:
        assert work is not None
        work.files.write("part-0.parquet", b"killed")
        raise KeyboardInterrupt


def read(output: Path, manifest: dict) -> dict[str, str]:
    return {one["path"]: (output / one["path"]).read_text() for one in manifest["files"]}


def manifest_of(output: Path) -> dict:
    return json.loads((output / "manifest.json").read_text())


def test_who_has_read_the_old_manifest_finds_the_old_files(tmp_path):
    output = tmp_path / "out"
    write(output, "part-0.parquet", "errors/part-0.parquet", text="first")
    old = manifest_of(output)
    write(output, "part-0.parquet", "removed/part-0.parquet", text="second")
    assert set(read(output, old).values()) == {"first"}
    assert set(read(output, manifest_of(output)).values()) == {"second"}
    # The links beside the manifest are those of the newest version alone.
    found = {path.relative_to(output).as_posix() for path in output.rglob("*.parquet")}
    beside = {one for one in found if not one.startswith("_")}
    assert beside == {"part-0.parquet", "removed/part-0.parquet"}
    assert {(output / one).read_text() for one in beside} == {"second"}


def test_two_versions_take_turns_and_nothing_else_stays(tmp_path):
    output = tmp_path / "out"
    for text in ("first", "second", "third"):
        write(output, "part-0.parquet", text=text)
    assert set(read(output, manifest_of(output)).values()) == {"third"}
    names = {path.name for path in output.iterdir()} - {LEASE}
    assert names == {"_a", "_b", "part-0.parquet", "manifest.json", "run.json"}
    assert manifest_of(output)["files"][0]["path"] == "_a/part-0.parquet"


def test_a_run_that_was_killed_leaves_the_complete_version(tmp_path):
    output = tmp_path / "out"
    write(output, "part-0.parquet", text="first")
    before = manifest_of(output)
    with pytest.raises(KeyboardInterrupt):
        be_killed(output)
    assert manifest_of(output) == before
    assert set(read(output, before).values()) == {"first"}
    assert not artifact.is_unfinished(str(output))
    write(output, "part-0.parquet", text="third")
    assert set(read(output, manifest_of(output)).values()) == {"third"}
    assert not [path for path in output.iterdir() if path.name.startswith(".work")]


def test_files_that_lie_beside_their_manifest_are_not_replaced(tmp_path):
    output = tmp_path / "out"
    with writing.begin(str(output), "things", {}) as work:
        work.files.write("part-0.parquet", b"first")
        files = [{"path": "part-0.parquet", "bytes": 5, "sha256": ""}]
        work.commit({"counts": {}, "files": files}, work.written(["part-0.parquet"]), {})
    with pytest.raises(UsageError, match="must be new or written as a partition before"):
        write(output, "part-0.parquet", text="second")
    assert (output / "part-0.parquet").read_text() == "first"
