"""What `facemill score` refuses: models, inputs, datasets and options."""

import json
import shutil
from pathlib import Path

import pytest

from facemill.pipelines.synthesize.faces import broken
from facemill.transforms.dataset import artifact, tfrecord
from tests.pipelines.score.commands import score, sentence

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("flag", ["--format", "--root", "--image-column", "--label-column"])
def test_a_dataset_has_no_layout_to_choose(tiny_dataset, tiny_model, tmp_path, capfd, flag):
    assert score(tiny_dataset, tiny_model, tmp_path / "out", flag, "folders") == 2
    message = f"{flag} must go with images, got it with the dataset {tiny_dataset}; leave it out."
    assert sentence(capfd).endswith(message)


@pytest.mark.parametrize("pattern", ["variables/variables.data-*", "saved_model.pb"])
def test_a_damaged_model_is_refused(tiny_photos, tiny_model, tmp_path, capfd, pattern):
    shutil.copytree(tiny_model, tmp_path / "model")
    (file,) = (tmp_path / "model" / "saved_model").glob(pattern)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert score(tiny_photos, tmp_path / "model", tmp_path / "out") == 1
    error = sentence(capfd)
    assert file.name in error
    assert "SHA-256" in error
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_model_with_a_missing_file_is_refused(tiny_photos, tiny_model, tmp_path, capfd):
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / "saved_model" / "variables" / "variables.index").unlink()
    assert score(tiny_photos, tmp_path / "model", tmp_path / "out") == 1
    assert "variables.index must exist" in sentence(capfd)


def test_a_model_that_is_another_artifact_is_refused(tiny_photos, tiny_dataset, tmp_path, capfd):
    assert score(tiny_photos, tiny_dataset, tmp_path / "out") == 2
    assert "must be a model artifact, got kind 'dataset'" in sentence(capfd)
    assert score(tiny_photos, tiny_photos, tmp_path / "out") == 2
    assert "has no manifest.json" in sentence(capfd)
    assert score(tiny_photos, tmp_path / "nothing", tmp_path / "out") == 2
    assert "has no manifest.json" in sentence(capfd)
    assert not (tmp_path / "out").exists()


def test_an_input_that_is_another_artifact_is_refused(tiny_photos, tiny_model, tmp_path, capfd):
    assert score(tiny_model, tiny_model, tmp_path / "out") == 2
    assert "must be a dataset artifact, got kind 'model'" in sentence(capfd)
    assert score(tmp_path / "nothing", tiny_model, tmp_path / "out") == 2
    assert "does not exist" in sentence(capfd)
    (tmp_path / "empty").mkdir()
    assert score(tmp_path / "empty", tiny_model, tmp_path / "out") == 2
    assert "is empty" in sentence(capfd)
    shutil.copytree(tiny_photos, tmp_path / "photos")
    assert score(tmp_path / "photos", tiny_model, tmp_path / "photos" / "out") == 2
    assert "--output must not lie in --input" in sentence(capfd)


def test_only_broken_files_fail_the_run(tiny_model, tmp_path, capfd):
    folder = tmp_path / "photos" / "someone"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").write_bytes(broken.not_an_image())
    assert score(tmp_path / "photos", tiny_model, tmp_path / "out", "--max-rejected", 1) == 1
    error = sentence(capfd)
    assert "but none of 2 has" in error
    assert "1 empty file" in error
    assert not (tmp_path / "out" / "manifest.json").exists()


def _copy(dataset: Path, target: Path) -> tuple[Path, Path]:
    """A copy of a dataset, and its greatest shard."""
    shutil.copytree(dataset, target)
    shards = sorted(target.glob("*/*.tfrecord"), key=lambda path: path.stat().st_size)
    return target, shards[-1]


def test_a_shard_that_lost_its_last_record_is_noticed(tiny_dataset, tiny_model, tmp_path, capfd):
    dataset, shard = _copy(tiny_dataset, tmp_path / "dataset")
    with shard.open("rb+") as stream:
        (*_, (last, _)) = tfrecord.scan(stream)
        stream.truncate(last)
    assert score(dataset, tiny_model, tmp_path / "out") == 1
    error = sentence(capfd)
    assert f"{shard.name} must have the SHA-256 of its manifest" in error
    # Before anything is written.
    assert not (tmp_path / "out").exists()


def test_a_damaged_shard_is_one_sentence(tiny_dataset, tiny_model, tmp_path, capfd):
    dataset, shard = _copy(tiny_dataset, tmp_path / "dataset")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    # Where the files cannot all be read beforehand, each record is checked by itself.
    name = shard.relative_to(dataset).as_posix()
    manifest = json.loads((dataset / "manifest.json").read_text())
    others = [entry for entry in manifest["files"] if entry["path"] != name]
    manifest["files"] = [*others, artifact.file_entry(str(dataset), name)]
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    assert score(dataset, tiny_model, tmp_path / "out") == 1
    error = sentence(capfd)
    assert shard.name in error
    assert "CRC" in error


def test_a_manifest_with_paths_outside_its_folder_is_refused(
    tiny_dataset, tiny_model, tmp_path, capfd
):
    dataset, shard = _copy(tiny_dataset, tmp_path / "dataset")
    shutil.move(shard, tmp_path / "elsewhere.tfrecord")
    path = dataset / "manifest.json"
    name = shard.relative_to(dataset).as_posix()
    manifest = json.loads(path.read_text())
    for split in manifest["splits"].values():
        split["shards"] = [
            "../elsewhere.tfrecord" if shard == name else shard for shard in split["shards"]
        ]
    path.write_text(json.dumps(manifest))
    assert score(dataset, tiny_model, tmp_path / "out") == 1
    assert "must lie under it, got '../elsewhere.tfrecord'" in sentence(capfd)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--batch-size", "0"), "--batch-size must be 1 to 1024, got 0"),
        (("--workers", "0"), "--workers must be 1 or more, got 0"),
        (("--max-rejected", "0"), "--max-rejected must be above 0"),
        (("--batch-size", "many"), "--batch-size: invalid int value: 'many'"),
        (("--runner", "DaskRunner"), "--runner must not be DaskRunner"),
    ],
)
def test_wrong_options_are_one_sentence(tiny_photos, tmp_path, capfd, flags, message):
    assert score(tiny_photos, tmp_path / "model", tmp_path / "out", *flags) == 2
    assert message in sentence(capfd)
    assert not (tmp_path / "out").exists()
