"""`facemill match --partition`: the matches of each night, replaced whole."""

import json
from pathlib import Path

import pytest

from facemill.pipelines import cli
from facemill.transforms.dataset import artifact
from tests import embedding_sets
from tests.embedding_sets import draw, read_rows


def match(root: Path, probes: str, *words) -> int:
    given = ["match", "--probes", root / probes, "--gallery", root / "gallery", "--workers", 1]
    return cli.main([str(word) for word in (*given, "--output", root / "matches", *words)])


def manifest_of(night: Path) -> dict:
    manifest = json.loads((night / "manifest.json").read_text())
    artifact.verify_files(str(night), manifest)
    return manifest


@pytest.fixture
def root(tmp_path) -> Path:
    embedding_sets.write(tmp_path / "gallery", ["g0", "g1", "g2"], draw(1, 3, 1))
    embedding_sets.write(tmp_path / "probes", ["p0", "p1"], draw(2, 2, 1))
    embedding_sets.write(tmp_path / "more", ["p0", "p1", "p2"], draw(3, 3, 1))
    return tmp_path


@pytest.mark.slow
def test_other_matches_of_a_night_replace_those_before(root):
    night = root / "matches" / "2026-11-25"
    assert match(root, "probes", "--partition", "2026-11-25") == 0
    old = manifest_of(night)
    assert old["counts"]["probes"] == 2
    assert (night / "report.html").exists()
    # Without a partition, the output of other embeddings is refused.
    assert match(root, "more", "--partition", "2026-11-25") == 0
    assert manifest_of(night)["counts"]["probes"] == 3
    artifact.verify_files(str(night), old)
    rows = read_rows(night, "matches")
    assert {row["probe_id"] for row in rows} == {"p0", "p1", "p2"}


@pytest.mark.slow
def test_a_night_without_a_new_photo_matches_nobody(root):
    embedding_sets.write(root / "none", [], draw(2, 0, 1))
    assert match(root, "none", "--partition", "2026-11-26") == 2
    path = root / "none" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["options"]["since"] = ["the night before"]
    path.write_text(json.dumps(manifest))
    assert match(root, "none", "--partition", "2026-11-26") == 0
    counts = manifest_of(root / "matches" / "2026-11-26")["counts"]
    assert (counts["probes"], counts["matched"], counts["unmatched"]) == (0, 0, 0)


def test_pairs_have_partitions_too(root):
    (root / "pairs.csv").write_text("p0,g0\np1,g1\n")
    for _ in range(2):
        assert match(root, "probes", "--pairs", root / "pairs.csv", "--partition", "1") == 0
    assert manifest_of(root / "matches" / "1")["counts"]["compared"] == 2


def test_a_partition_has_a_plain_name(root, capsys):
    assert match(root, "probes", "--partition", "../x") == 2
    assert "--partition must be a name of letters" in capsys.readouterr().err
