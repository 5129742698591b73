"""facemill cluster from embeddings to people, in one process."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from facemill.pipelines import cli
from tests import embedding_sets
from tests.artifacts import contents
from tests.embedding_sets import draw, named, read_rows
from tests.sharing import made_once, run_folder

PEOPLE, IMAGES, THRESHOLD = 8, 5, 0.7
# Two faces of one photo, of the first two people.
TWINS = ("party.jpg#0", "party.jpg#1")


def cluster(*words) -> int:
    return cli.main(["cluster", *map(str, words)])


def faces(people: range, seed: int = 1) -> tuple[list[str], np.ndarray, list[str]]:
    """Names, vectors and identities of some people."""
    ids, who = named(PEOPLE, IMAGES, f"{seed}/")
    vectors = draw(seed, PEOPLE, IMAGES, 32, 0.3)
    rows = [row for row in range(len(ids)) if row // IMAGES in people]
    return [ids[row] for row in rows], vectors[rows], [who[row] for row in rows]


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Embeddings of six people and a photo of two, their clusters, and more embeddings."""

    def make(folder: Path) -> None:
        ids, vectors, who = faces(range(6))
        ids += TWINS
        # Both faces of the photo look like the first person.
        vectors = np.concatenate([vectors, vectors[:2]])
        who += ["p00", "p00"]
        embedding_sets.write(folder / "old", ids, vectors, who)
        options = ("--threshold", THRESHOLD, "--workers", 1)
        given = ("--embeddings", folder / "old", "--output", folder / "clusters")
        assert cluster(*given, *options) == 0
        more, others, names = faces(range(4, 8), seed=2)
        vectors = np.concatenate([vectors, others])
        embedding_sets.write(folder / "new", ids + more, vectors, who + names, parts=3)

    return made_once(run_folder(tmp_path_factory), "clusters", make)


def people_of(path: Path) -> dict[str, str]:
    return {row["image_id"]: row["cluster"] for row in read_rows(path, "clusters")}


def test_each_person_is_one_cluster_and_two_faces_of_a_photo_are_two_people(sets):
    found = people_of(sets / "clusters")
    ids, _, who = faces(range(6))
    assert len(set(found.values())) == 7
    for one, person in zip(ids, who, strict=True):
        if person != "p00":
            assert found[one] == found[f"1/{person}/0.jpg"]
    # Each face of the photo is a copy of one of that person's, so the photo parts them.
    assert found[TWINS[0]] == found["1/p00/0.jpg"]
    assert found[TWINS[1]] == found["1/p00/1.jpg"]
    assert found[TWINS[0]] != found[TWINS[1]]


def test_the_manifest_has_counts_and_the_agreement_with_the_truth(sets):
    manifest = json.loads((sets / "clusters" / "manifest.json").read_text())
    assert manifest["counts"] == {"images": 32, "clusters": 7, "alone": 0, "largest": IMAGES}
    assert manifest["metrics"]["bcubed"]["precision"] == 1
    assert 0.9 < manifest["metrics"]["bcubed"]["f1"] < 1
    assert 0.9 < manifest["metrics"]["pairwise"]["f1"] < 1


def test_the_list_has_what_ingest_reads(sets):
    with (sets / "clusters" / "people.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    found = people_of(sets / "clusters")
    assert {row["image_id"]: row["identity"] for row in rows} == found
    assert {row["path"] for row in rows if row["image_id"] in TWINS} == {"party.jpg"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["components", "whispers"])
def test_new_faces_join_people_whose_names_stay(sets, tmp_path, method):
    before = people_of(sets / "clusters")
    options = ("--threshold", THRESHOLD, "--since", sets / "clusters", "--method", method)
    given = ("--embeddings", sets / "new", "--output", tmp_path / "c")
    assert cluster(*given, *options) == 0
    found = people_of(tmp_path / "c")
    sizes = {name: list(before.values()).count(name) for name in before.values()}
    kept = {face: name for face, name in before.items() if sizes[name] > 1}
    assert {face: found[face] for face in kept} == kept
    for person in range(4, 6):
        assert found[f"2/p{person:02d}/0.jpg"] == before[f"1/p{person:02d}/0.jpg"]
    new = {found[f"2/p{person:02d}/{image}.jpg"] for person in (6, 7) for image in range(IMAGES)}
    assert len(new) == 2
    assert not new & set(before.values())


@pytest.mark.slow
def test_workers_and_parts_change_no_byte_of_the_clusters(sets, tmp_path):
    ids, vectors, who = faces(range(6))
    vectors = np.concatenate([vectors, vectors[:2]])
    order = np.random.default_rng(1).permutation(len(vectors))
    ids, who = [*ids, *TWINS], [*who, "p00", "p00"]
    other = embedding_sets.write(
        tmp_path / "e",
        [ids[row] for row in order],
        vectors[order],
        [who[row] for row in order],
        parts=5,
    )
    options = ("--threshold", THRESHOLD, "--workers", 3)
    assert cluster("--embeddings", other, "--output", tmp_path / "c", *options) == 0
    one, two = contents(tmp_path / "c"), contents(sets / "clusters")
    # The manifest names the embeddings.
    assert {k: v for k, v in one.items() if k != "manifest.json"} == {
        k: v for k, v in two.items() if k != "manifest.json"
    }


def test_wrong_options_are_refused_in_one_sentence(sets, tmp_path, capsys):
    given = ("--embeddings", sets / "old", "--output", tmp_path / "c")
    assert cluster(*given) == 2
    assert "--threshold must come from the model of the embeddings" in capsys.readouterr().err
    ids, vectors, _ = faces(range(1))
    other = embedding_sets.write(tmp_path / "o", ids, vectors, model_id="b" * 64)
    words = ("--embeddings", other, "--output", tmp_path / "c", "--threshold", 0.5)
    assert cluster(*words, "--since", sets / "clusters") == 2
    assert "--since must be of embeddings of the same model" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    nobody = embedding_sets.write(tmp_path / "n", [], vectors[:0])
    assert cluster("--embeddings", nobody, "--output", tmp_path / "c", "--threshold", 0.5) == 2
    assert "--embeddings must hold embeddings, but it has no row" in capsys.readouterr().err
