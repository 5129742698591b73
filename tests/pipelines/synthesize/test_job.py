import argparse
import concurrent.futures
import json
import os

import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from facemill.pipelines.common.options import add_arguments, from_arguments
from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.options import SynthesizeOptions
from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from tests import killing
from tests.commands import facemill

SMALL = ("--identities", "4", "--images-per-identity", "3", "--image-size", "32", "--workers", "1")


def _run(output, *flags: str) -> int:
    return cli.main(["synthesize", "--output", str(output), *SMALL, *flags])


def _bytes(root) -> dict[str, bytes]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, root)] = stream.read()
    return found


def _parsed(*flags: str) -> SynthesizeOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser, SynthesizeOptions)
    return from_arguments(SynthesizeOptions, parser.parse_args(["--output", "x", *flags]))


def test_the_manifest_describes_the_collection(tmp_path, capsys):
    assert _run(tmp_path / "a", "--plant", "mirror=2", "--plant", "bomb=1", "--pairs", "2x1") == 0
    said = capsys.readouterr().out.split()
    assert said[:5] == [str(tmp_path / "a"), "listed", "15", "bomb", "1"]
    manifest = artifact.read_manifest(str(tmp_path / "a"), "synthetic")
    assert manifest["counts"] == {"listed": 15, "original": 12, "mirror": 2, "bomb": 1}
    assert [entry["path"] for entry in manifest["files"]] == ["truth.parquet", "pairs.txt"]
    artifact.verify_files(str(tmp_path / "a"), manifest)
    assert manifest["options"] == {
        "identities": 4,
        "images_per_identity": 3,
        "long_tail": None,
        "image_size": 32,
        "seed": 0,
        "start_identity": 1,
        "quality": 92,
        "plants": {"mirror": 2, "bomb": 1},
        "pairs": [2, 1],
    }
    assert sorted(os.listdir(tmp_path / "a")) == [
        "images",
        "manifest.json",
        "pairs.txt",
        "run.json",
        "truth.parquet",
    ]
    assert pq.read_metadata(tmp_path / "a" / "truth.parquet").num_rows == 15


def test_two_runs_differ_in_run_json_alone(tmp_path):
    assert _run(tmp_path / "a") == _run(tmp_path / "b", "--workers", "2") == 0
    one, other = _bytes(tmp_path / "a"), _bytes(tmp_path / "b")
    assert json.loads(one.pop("run.json"))["workers"] == 1
    assert json.loads(other.pop("run.json"))["workers"] == 2
    assert one == other


def test_a_complete_collection_is_not_written_again(tmp_path, capsys):
    assert _run(tmp_path / "a") == 0
    before = os.stat(tmp_path / "a" / "manifest.json").st_mtime_ns
    assert _run(tmp_path / "a", "--workers", "2") == 0
    assert "is already complete; remove it to synthesize again." in capsys.readouterr().out
    assert os.stat(tmp_path / "a" / "manifest.json").st_mtime_ns == before
    assert _run(tmp_path / "a", "--seed", "1") == 2
    assert "seed: there 0, here 1" in capsys.readouterr().err


def test_an_interrupted_run_is_not_complete_and_the_same_command_finishes_it(tmp_path, monkeypatch):
    def interrupted(chunk):
        if chunk.counts[0][0] > 1:
            raise KeyboardInterrupt
        return written(chunk)

    written = collection.write_chunk
    with monkeypatch.context() as patch:
        patch.setattr(collection, "_CHUNK_IMAGES", 3)
        patch.setattr(collection, "write_chunk", interrupted)
        assert _run(tmp_path / "a") == 130
    assert "id00001_0003.jpg" in {os.path.basename(name) for name in _bytes(tmp_path / "a")}
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        artifact.read_manifest(str(tmp_path / "a"), "synthetic")
    assert _run(tmp_path / "a") == _run(tmp_path / "b") == 0
    one, other = _bytes(tmp_path / "a"), _bytes(tmp_path / "b")
    assert one.keys() == other.keys()
    assert one["manifest.json"] == other["manifest.json"]


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_the_same_command_finishes_it(tmp_path):
    flags = ["--identities", "60", "--image-size", "64", "--workers", "2"]
    killing.run_until(
        # By name alone: files are renamed while this looks.
        lambda: any(
            name.endswith(".jpg") for *_, names in os.walk(tmp_path / "a") for name in names
        ),
        *("synthesize", "--output", tmp_path / "a", *flags),
    )
    assert not os.path.exists(tmp_path / "a" / "manifest.json")
    for name in ("a", "b"):
        facemill("synthesize", "--output", tmp_path / name, *flags)
    one, other = _bytes(tmp_path / "a"), _bytes(tmp_path / "b")
    assert len(one) == 60 * 20 + 3
    del one["run.json"], other["run.json"]
    assert one == other


def test_a_worker_that_is_killed_is_one_sentence(tmp_path, monkeypatch, capsys):
    def broken(chunk):
        raise concurrent.futures.BrokenExecutor

    monkeypatch.setattr(collection, "write_chunk", broken)
    assert _run(tmp_path / "a", "--workers", "1") == 1
    assert "All --workers must live to the end" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, capsys):
    def full(chunk):
        raise OSError(28, "No space left on device", f"{chunk.folder}/id00001/id00001_0001.jpg")

    monkeypatch.setattr(collection, "write_chunk", full)
    assert _run(tmp_path / "a") == 1
    error = capsys.readouterr().err
    assert "id00001_0001.jpg must be writable, got: No space left on device" in error
    assert error.count("\n") == 1


def test_a_refused_recipe_leaves_no_directory(tmp_path, capsys):
    assert _run(tmp_path / "a", "--pairs", "2x1000") == 2
    assert "--pairs needs 1000 different genuine" in capsys.readouterr().err
    assert _run(tmp_path / "a", "--plant", "copy=13") == 2
    assert "original images (12), got 13" in capsys.readouterr().err
    assert not os.path.exists(tmp_path / "a")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--identities", "0"), "--identities must be 1 to 4294967295, got 0"),
        (("--images-per-identity", "0"), "--images-per-identity must be 1 to 1048575, got 0"),
        (("--image-size", "8"), "--image-size must be 16 to 2048, got 8"),
        (("--seed", "-1"), "--seed must be 0 to 18446744073709551615, got -1"),
        (("--start-identity", "0"), "--start-identity must be 1 to "),
        (("--quality", "101"), "--quality must be 1 to 100, got 101"),
        (("--workers", "0"), "--workers must be 1 to 1024, got 0"),
        (("--long-tail", "0"), "--long-tail must be above 0 and at most 100, got 0"),
        (("--long-tail", "nan"), "--long-tail must be above 0 and at most 100, got nan"),
        (("--plant", "copy"), "--plant must be KIND=COUNT, got 'copy'"),
        (("--plant", "smile=3"), "--plant must be KIND=COUNT, got 'smile=3'"),
        (("--plant", "copy=-3"), "--plant must be KIND=COUNT, got 'copy=-3'"),
        (("--plant", "copy=0"), "--plant copy must be 1 to 1048576, got 0"),
        (("--plant", "copy=1", "--plant", "copy=2"), "--plant must name a kind once, got copy"),
        (("--pairs", "10"), "--pairs must be FOLDSxPAIRS, got '10'"),
        (("--pairs", "axb"), "--pairs must be FOLDSxPAIRS, got 'axb'"),
        (("--pairs", "0x5"), "the folds of --pairs must be 1 to 10000, got 0"),
        (("--pairs", "5x0"), "the pairs per fold of --pairs must be 1 to 1000000, got 0"),
    ],
)
def test_bad_flags_are_one_sentence(tmp_path, capsys, flags, reason):
    assert _run(tmp_path / "a", *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"facemill: {reason}")
    assert error.count("\n") == 1
    assert not os.path.exists(tmp_path / "a")


def test_unknown_flags_are_refused(tmp_path, capsys):
    assert _run(tmp_path / "a", "--runner", "PrismRunner") == 2
    assert "takes no option --runner" in capsys.readouterr().err


def test_flags_become_a_recipe():
    parsed = _parsed("--plant", "bomb=1", "--plant", "copy=2", "--pairs", "10x50", "--seed", "9")
    assert list(parsed.recipe.plants.items()) == [("copy", 2), ("bomb", 1)]
    assert parsed.recipe.pairs == (10, 50)
    assert parsed.recipe.seed == 9
    assert (parsed.recipe.identities, parsed.recipe.images_per_identity) == (100, 20)
    assert parsed.workers == cores.usable()
