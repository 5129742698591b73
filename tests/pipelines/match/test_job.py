"""facemill match from embeddings to matches, in one process."""

import json
from pathlib import Path

import numpy as np
import pytest

from facemill.pipelines import cli
from facemill.transforms.search import plan as plans
from tests import embedding_sets
from tests.artifacts import contents
from tests.embedding_sets import draw, named, read_rows
from tests.sharing import made_once, run_folder

PEOPLE, K, THRESHOLD = 12, 3, 0.8


def match(*words) -> int:
    return cli.main(["match", *map(str, words)])


def manifest_of(path: Path) -> dict:
    return json.loads((path / "manifest.json").read_text())


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """A gallery, probes of whom the last two people are not in it, and their matches."""

    def make(folder: Path) -> None:
        ids, who = named(PEOPLE - 2, 4, "g/")
        embedding_sets.write(folder / "gallery", ids, draw(1, PEOPLE, 4)[: len(ids)], who)
        ids, who = named(PEOPLE, 2)
        embedding_sets.write(folder / "probes", ids, draw(2, PEOPLE, 2), who, parts=3)
        options = ("--top-k", K, "--threshold", THRESHOLD, "--workers", 1)
        given = ("--probes", folder / "probes", "--gallery", folder / "gallery")
        assert match(*given, "--output", folder / "matches", *options) == 0

    return made_once(run_folder(tmp_path_factory), "match", make)


def expected() -> tuple[list[tuple], list[tuple]]:
    """The rows of `matches/` and of `unmatched/`, by numpy."""
    gallery_ids, _ = named(PEOPLE - 2, 4, "g/")
    gallery = draw(1, PEOPLE, 4)[: len(gallery_ids)].astype(np.float64)
    matched, unmatched = [], []
    for name, probe in zip(named(PEOPLE, 2)[0], draw(2, PEOPLE, 2), strict=True):
        scores = (gallery @ probe).astype(np.float32)
        best = sorted(range(len(scores)), key=lambda row: (-scores[row], gallery_ids[row]))[:K]
        above = [row for row in best if scores[row] >= np.float32(THRESHOLD)]
        matched += [(name, rank, gallery_ids[row]) for rank, row in enumerate(above, 1)]
        if not above:
            unmatched.append((name, gallery_ids[best[0]]))
    return matched, unmatched


def test_matches_are_those_of_brute_force(sets):
    matched, unmatched = expected()
    assert matched
    assert len(unmatched) >= 4
    rows = read_rows(sets / "matches", "matches")
    found = sorted((row["probe_id"], row["rank"], row["gallery_id"]) for row in rows)
    assert found == sorted(matched)
    nobody = read_rows(sets / "matches", "unmatched")
    assert sorted((row["probe_id"], row["gallery_id"]) for row in nobody) == sorted(unmatched)
    assert all(row["score"] < THRESHOLD for row in nobody)
    assert all(row["probe_identity"] == row["probe_id"].split("/")[0] for row in rows + nobody)


def test_the_manifest_counts_every_probe(sets):
    manifest = manifest_of(sets / "matches")
    counts = manifest["counts"]
    assert counts["probes"] == counts["matched"] + counts["unmatched"] == 2 * PEOPLE
    assert counts["gallery"] == 4 * (PEOPLE - 2)
    assert counts["pairs"] == len(expected()[0])
    assert manifest["options"]["threshold"] == THRESHOLD
    assert manifest["metrics"]["right"] <= manifest["metrics"]["named"] == counts["matched"]
    page = (sets / "matches" / "report.html").read_text()
    assert "Surest matches" in page
    assert "Nobody" in page


@pytest.mark.slow
def test_workers_and_memory_change_no_byte_and_blocks_no_row(sets, tmp_path, monkeypatch):
    given = ("--probes", sets / "probes", "--gallery", sets / "gallery", "--top-k", K)
    monkeypatch.setattr(plans, "BLOCK", 5)
    outputs = []
    for number, (workers, part) in enumerate([(1, 1), (3, 10_000_000)]):
        monkeypatch.setattr(plans, "_PARTS", part * plans._PART)
        output = tmp_path / str(number)
        options = ("--threshold", THRESHOLD, "--workers", workers)
        assert match(*given, "--output", output, *options) == 0
        outputs.append(output)
    shards = [json.loads((one / "run.json").read_text())["shards"] for one in outputs]
    assert shards == [1, 8]
    assert contents(outputs[0]) == contents(outputs[1])
    for folder in ("matches", "unmatched"):
        key = lambda row: (row["probe_id"], row.get("rank"))  # noqa: E731
        rows, others = (
            sorted(read_rows(one, folder), key=key) for one in (outputs[1], sets / "matches")
        )
        assert rows == others


@pytest.mark.slow
def test_a_set_matches_itself_without_each_image_itself(sets, tmp_path):
    given = ("--probes", sets / "gallery", "--gallery", sets / "gallery")
    assert match(*given, "--output", tmp_path / "m", "--top-k", 2) == 0
    rows = read_rows(tmp_path / "m", "matches")
    assert len(rows) == 2 * 4 * (PEOPLE - 2)
    assert all(row["probe_id"] != row["gallery_id"] for row in rows)
    assert not (tmp_path / "m" / "unmatched").exists()


@pytest.mark.slow
def test_an_approximate_search_reports_its_recall(sets, tmp_path, capsys):
    given = ("--probes", sets / "probes", "--gallery", sets / "gallery", "--top-k", K)
    assert match(*given, "--output", tmp_path / "m", "--search", "ivf") == 0
    recall = manifest_of(tmp_path / "m")["metrics"]["recall"]
    # With so few rows every list is looked into.
    assert recall == 1
    assert "recall" in capsys.readouterr().out
    assert len(read_rows(tmp_path / "m", "matches")) == K * 2 * PEOPLE
    assert manifest_of(sets / "matches")["metrics"]["recall"] is None


def test_a_complete_output_is_kept(sets, capsys):
    given = ("--probes", sets / "probes", "--gallery", sets / "gallery")
    options = ("--top-k", K, "--threshold", THRESHOLD)
    assert match(*given, "--output", sets / "matches", *options) == 0
    assert "is already complete" in capsys.readouterr().out
    assert match(*given, "--output", sets / "matches", "--threshold", 0.5) == 2
    assert "was made with other options" in capsys.readouterr().err


def refused(capsys, *words) -> str:
    assert match(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("facemill: ")
    assert said.count("\n") == 1
    return said


def test_wrong_options_are_refused_in_one_sentence(sets, tmp_path, capsys):
    given = ("--probes", sets / "probes", "--gallery", sets / "gallery", "--output", tmp_path / "m")
    assert "--gallery must name embeddings" in refused(capsys, *given[:2], *given[4:])
    assert "--memory must be 64MB or more" in refused(capsys, *given, "--memory", "3 apples")
    assert "--fmr must come from the model" in refused(capsys, *given, "--fmr", "1e-4")
    other = embedding_sets.write(tmp_path / "o", *_few(), model_id="b" * 64)
    said = refused(capsys, *given[:2], "--gallery", other, "--output", tmp_path / "m")
    assert "--gallery must be of the model of" in said
    assert not (tmp_path / "m").exists()


def _few() -> tuple[list[str], np.ndarray]:
    return named(1, 2)[0], draw(1, 1, 2)
