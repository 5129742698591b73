"""facemill match --pairs: a row for each line of the list, in its order."""

import json
from pathlib import Path

import numpy as np
import pytest

from facemill.pipelines import cli
from facemill.pipelines.match import pairs
from tests import embedding_sets
from tests.embedding_sets import draw, named, read_rows

IDS, WHO = named(3, 3)
VECTORS = draw(1, 3, 3)


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory) -> str:
    return embedding_sets.write(tmp_path_factory.mktemp("pairs") / "e", IDS, VECTORS, WHO)


def match(*words) -> int:
    return cli.main(["match", *map(str, words)])


def cosine(one: str, other: str) -> np.float32:
    left, right = (VECTORS[IDS.index(name)].astype(np.float64) for name in (one, other))
    return np.float32((left * right).sum())


def test_every_line_has_a_row_in_order(embeddings, tmp_path):
    lines = [
        (IDS[0], IDS[1]),
        (IDS[0], "gone.jpg"),
        (IDS[4], IDS[0]),
        ("only one",),
        (IDS[0], IDS[1]),
    ]
    (tmp_path / "list.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")
    words = ("--pairs", tmp_path / "list.csv", "--embeddings", embeddings, "--threshold", 0.5)
    assert match(*words, "--output", tmp_path / "m") == 0
    rows = read_rows(tmp_path / "m", "pairs")
    assert [row["left_id"] for row in rows] == [line[0] for line in lines]
    assert [row["reason_code"] for row in rows] == [None, "no_embedding", None, "bad_row", None]
    assert rows[1]["reason"] == "gone.jpg has no embedding"
    for row, line in ((rows[0], lines[0]), (rows[2], lines[2])):
        assert row["score"] == pytest.approx(cosine(*line), abs=1e-6)
        assert row["accepted"] == (row["score"] >= 0.5)
    assert rows[0]["accepted"]
    assert not rows[2]["accepted"]
    assert rows[4] == rows[0]
    assert rows[1]["score"] is rows[1]["accepted"] is None
    counts = json.loads((tmp_path / "m" / "manifest.json").read_text())["counts"]
    assert counts == {"pairs": 5, "compared": 3, "accepted": 2, "missing": 2}


def test_two_sets_and_no_threshold_give_scores_without_decisions(embeddings, tmp_path):
    other = embedding_sets.write(tmp_path / "o", [f"g{one}" for one in IDS], VECTORS)
    (tmp_path / "list.tsv").write_text(f"left\tright\n{IDS[0]}\tg{IDS[0]}\n")
    words = ("--pairs", tmp_path / "list.tsv", "--probes", embeddings, "--gallery", other)
    assert match(*words, "--output", tmp_path / "m") == 0
    (row,) = read_rows(tmp_path / "m", "pairs")
    assert row["score"] == pytest.approx(1, abs=1e-6)
    assert row["accepted"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y\nz,w\n", [("x", "y"), ("z", "w")]),
        ("\ufeffleft;right;note\nx;y;why\n", [("x", "y")]),
        ("right,left\ny,x\n\n", [("x", "y")]),
        ("x y\n", [("x", "y")]),
        ('"x, 1",y\n', [("x, 1", "y")]),
        ("x,y\n,z\nw\n", [("x", "y"), ("", "z"), ("w", "")]),
    ],
)
def test_lists_are_read_in_the_forms_people_write(tmp_path, text, expected):
    (tmp_path / "list").write_text(text, encoding="utf-8")
    assert pairs.read(str(tmp_path / "list"))[0] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pairs", "{list}"), "--probes must name embeddings"),
        (("--pairs", "{list}", "--embeddings", "{e}", "--probes", "{e}"), "in place of --probes"),
        (("--pairs", "{gone}", "--embeddings", "{e}"), "--pairs must be a readable text file"),
        (("--pairs", "{empty}", "--embeddings", "{e}"), "--pairs must list pairs"),
        (("--embeddings", "{e}"), "--embeddings must go with --pairs"),
        (("--pairs", "{list}", "--embeddings", "{e}", "--runner=FlinkRunner"), "one process"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(words, message, embeddings, tmp_path, capsys):
    (tmp_path / "list").write_text("x,y\n")
    (tmp_path / "empty").write_text("\n")
    paths = {name: str(Path(tmp_path, name)) for name in ("list", "empty", "gone")}
    given = [word.format(e=embeddings, **paths) for word in words]
    assert match(*given, "--output", tmp_path / "m") == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "m").exists()
