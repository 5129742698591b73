"""facemill enroll: templates that match takes as a gallery."""

import json
from pathlib import Path

import numpy as np
import pytest

from facemill.pipelines import cli
from facemill.transforms.scoring.embeddings import read_set
from tests import embedding_sets
from tests.artifacts import contents
from tests.embedding_sets import draw, named, read_rows

PEOPLE, IMAGES = 5, 6


def enroll(*words) -> int:
    return cli.main(["enroll", *map(str, words)])


def people() -> tuple[list[str], np.ndarray, list[str | None]]:
    """Images of five people; one image of the first shows somebody else, one has no identity."""
    ids, who = named(PEOPLE, IMAGES)
    vectors = draw(1, PEOPLE, IMAGES, 16, 0.2)
    vectors[2] = -vectors[2]
    return ids, vectors, [*who[:-1], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("enroll")
    more = {"sharpness": [1.0] * (PEOPLE * IMAGES - 1) + [9.0]}
    embedding_sets.write(root / "e", *people(), more=more, inputs={"input": "/photos"})
    assert enroll("--embeddings", root / "e", "--output", root / "t") == 0
    return root


def test_each_identity_has_one_template_near_its_images(made):
    given, _ = read_set(str(made / "t"), "gallery")
    (block,) = given.blocks(given.all_slices(), ("image_id", "identity", "images"))
    assert block.ids == block.table["identity"].to_pylist() == [f"p{n:02d}" for n in range(PEOPLE)]
    assert block.table["images"].to_pylist() == [5, 6, 6, 6, 5]
    ids, vectors, who = people()
    for name, template in zip(block.ids, block.vectors, strict=True):
        rows = [row for row, one in enumerate(who) if one == name and row != 2]
        mean = vectors[rows].mean(axis=0)
        assert template @ mean / np.linalg.norm(mean) > 0.999
    assert ids[2] not in block.ids


def test_outliers_are_named_and_counted(made, capsys):
    (row,) = read_rows(made / "t", "outliers")
    assert (row["image_id"], row["identity"]) == ("p00/2.jpg", "p00")
    assert row["agreement"] < 0
    manifest = json.loads((made / "t" / "manifest.json").read_text())
    assert manifest["counts"] == {"images": 29, "templates": 5, "outliers": 1, "unnamed": 1}
    run = json.loads((made / "t" / "run.json").read_text())
    assert run["inputs"] == {"embeddings": str(made / "e"), "input": "/photos"}


def test_parts_and_storage_of_the_input_change_no_byte(made, tmp_path, monkeypatch):
    ids, vectors, who = people()
    order = np.random.default_rng(2).permutation(len(ids))
    more = {"sharpness": [1.0 + 8.0 * (row == len(ids) - 1) for row in order]}
    other = embedding_sets.write(
        tmp_path / "e",
        [ids[row] for row in order],
        vectors[order],
        [who[row] for row in order],
        parts=4,
        more=more,
    )
    assert enroll("--embeddings", other, "--output", tmp_path / "t") == 0
    one, two = contents(tmp_path / "t"), contents(made / "t")
    # The manifest names the embeddings.
    assert {k: v for k, v in one.items() if k != "manifest.json"} == {
        k: v for k, v in two.items() if k != "manifest.json"
    }


@pytest.mark.slow
def test_match_takes_templates_as_a_gallery(made, tmp_path):
    words = ["match", "--probes", made / "e", "--gallery", made / "t", "--threshold", "0.5"]
    assert cli.main([*map(str, words), "--output", str(tmp_path / "m")]) == 0
    rows = [row for row in read_rows(tmp_path / "m", "matches") if row["rank"] == 1]
    assert len(rows) == PEOPLE * IMAGES - 1
    assert all(row["gallery_id"] == row["probe_id"].split("/")[0] for row in rows)
    (nobody,) = read_rows(tmp_path / "m", "unmatched")
    assert nobody["probe_id"] == "p00/2.jpg"


def test_embeddings_without_identities_are_refused(tmp_path, capsys):
    ids, vectors, _ = people()
    nameless = embedding_sets.write(tmp_path / "e", ids, vectors)
    assert enroll("--embeddings", nameless, "--output", tmp_path / "t") == 2
    said = capsys.readouterr().err
    assert "--embeddings must name the identities of its images" in said
    assert "give people by --clusters" in said


def test_embeddings_without_rows_are_refused_although_they_have_a_part(tmp_path, capsys):
    nothing = embedding_sets.write(tmp_path / "e", [], people()[1][:0], parts=1)
    assert enroll("--embeddings", nothing, "--output", tmp_path / "t") == 2
    assert "--embeddings must hold rows, but it has none" in capsys.readouterr().err


def test_an_image_with_two_rows_is_refused(tmp_path, capsys):
    ids, vectors, who = people()
    twice = embedding_sets.write(tmp_path / "e", [*ids[:-1], ids[0]], vectors, who)
    assert enroll("--embeddings", twice, "--output", tmp_path / "t") == 1
    assert "Each image must have one row" in capsys.readouterr().err
