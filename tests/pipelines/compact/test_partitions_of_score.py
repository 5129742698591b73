"""Partitions as `facemill score` writes them, night after night, joined into one set."""

import json
import shutil

import pytest

from facemill.pipelines import cli
from facemill.transforms.scoring.embeddings import read_set

pytestmark = pytest.mark.slow


def run(*words) -> None:
    assert cli.main([str(word) for word in words]) == 0


def test_nights_of_score_are_joined(tiny_photos, tiny_model, tmp_path):
    photos, nights = tmp_path / "photos", tmp_path / "nights"
    for number in (1, 2):
        shutil.copytree(tiny_photos / f"id0000{number}", photos / f"id0000{number}")
    score = ("score", "--input", photos, "--model", tiny_model, "--output", nights, "--workers", 1)
    run(*score, "--partition", "2026-11-25")
    gone, changed = sorted((photos / "id00001").iterdir())[:2]
    gone.unlink()
    shutil.copy(next((tiny_photos / "id00003").iterdir()), changed)
    shutil.copytree(tiny_photos / "id00004", photos / "id00004")
    run(*score, "--partition", "2026-11-26", "--since", nights / "2026-11-25")
    run("compact", "--partitions", nights, "--output", tmp_path / "all")
    run("score", *score[1:6], tmp_path / "whole", "--workers", 1)
    sets = [read_set(str(tmp_path / name), "embeddings")[0] for name in ("all", "whole")]
    joined, whole = (
        {
            name: vector
            for block in given.blocks(given.all_slices())
            for name, vector in zip(block.ids, block.vectors, strict=True)
        }
        for given in sets
    )
    assert sorted(joined) == sorted(whole)
    for name, vector in joined.items():
        assert vector == pytest.approx(whole[name], abs=1e-5)
    counts = json.loads((tmp_path / "all" / "manifest.json").read_text())["counts"]
    assert (counts["gone"], counts["replaced"]) == (1, 1)
