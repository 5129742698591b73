"""`facemill evaluate --protocol templates` on lists as IJB publishes them."""

import json

import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from tests import embedding_sets

PEOPLE, IMAGES = 12, 4


@pytest.fixture
def lists(tmp_path):
    """Two templates of each person, with two images of one medium and of two media."""
    media, pairs = [], []
    for who in range(PEOPLE):
        for n in range(IMAGES):
            template = 2 * who + n // 2
            media.append(f"{who * IMAGES + n}.jpg {template} {100 * who + (n if n > 1 else 0)}")
        for other in range(PEOPLE):
            pairs.append(f"{2 * who} {2 * other + 1} {int(who == other)}")
    (tmp_path / "media.txt").write_text("\n".join(media) + "\n")
    (tmp_path / "pairs.txt").write_text("\n".join(pairs) + "\n")
    return str(tmp_path / "media.txt"), str(tmp_path / "pairs.txt")


def write(path, count=PEOPLE * IMAGES):
    vectors = embedding_sets.draw(1, PEOPLE, IMAGES, noise=0.3)[:count]
    return embedding_sets.write(path, [f"loose_crop/{n}.jpg" for n in range(count)], vectors)


def evaluate(embeddings, lists, output, *more):
    given = ("--embeddings", embeddings, "--protocol", "templates", "--output", str(output))
    return cli.main(["evaluate", *given, "--list", lists[0], "--pairs", lists[1], *more])


def test_figures_files_and_report(tmp_path, lists, capsys):
    out = tmp_path / "o"
    assert evaluate(write(tmp_path / "e"), lists, out) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["templates"] == {"listed": 24, "without_embedding": 0}
    assert results["pairs"] == {"genuine": 12, "impostor": 132, "missing": 0}
    assert [row["supported"] for row in results["tar_at_far"]] == [True, True, *[False] * 4]
    assert results["tar_at_far"][1]["tar"] == 1
    rows = pq.read_table(out / "scores.parquet").to_pylist()
    assert (rows[0]["left"], rows[0]["right"], rows[0]["genuine"]) == ("0", "1", True)
    said = capsys.readouterr().out
    assert "TAR at FAR 0.01    100.00 %" in said
    assert "templates          24 of 48 images" in said
    page = (out / "report.html").read_text()
    assert "Impostor pairs with the highest scores" in page
    assert "Receiver operating characteristic" in page


def test_images_without_embedding(tmp_path, lists, capsys):
    # The last person's second template has none, the first one's has one of two.
    embeddings = write(tmp_path / "e", PEOPLE * IMAGES - 3)
    assert evaluate(embeddings, lists, tmp_path / "o") == 2
    assert "All 48 images of the templates must have an embedding" in capsys.readouterr().err
    assert evaluate(embeddings, lists, tmp_path / "o", "--missing", "reject") == 0
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["templates"] == {"listed": 24, "without_embedding": 1}
    assert results["pairs"]["missing"] == 12
    assert results["rates"] == ["FAR", "FRR"]
    assert results["failure_to_acquire"]["failed"] == 3
    assert "not acquired       3 images, 1 templates" in capsys.readouterr().out


def test_what_is_absent_is_named(tmp_path, lists, capsys):
    embeddings = write(tmp_path / "e")
    given = ["evaluate", "--embeddings", embeddings, "--protocol", "templates"]
    assert cli.main([*given, "--output", str(tmp_path / "o"), "--pairs", lists[1]]) == 2
    assert "must have --pairs and --list, got no --list; add it" in capsys.readouterr().err
    assert evaluate(embeddings, (lists[0], lists[0]), tmp_path / "o") == 2
    assert "pair 1 must name templates of the list of images" in capsys.readouterr().err
    bare = embedding_sets.write(tmp_path / "b", ["x.jpg"], embedding_sets.draw(1, 1, 1), parts=1)
    assert evaluate(bare, lists, tmp_path / "o", "--missing", "reject") == 2
    assert "must have a genuine pair that can be compared" in capsys.readouterr().err
