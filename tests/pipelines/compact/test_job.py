"""facemill compact: the newest row of each image, whatever the partitions look like."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from facemill.transforms.scoring import buckets
from facemill.transforms.scoring.embeddings import read_set
from tests import embedding_sets
from tests.artifacts import contents
from tests.embedding_sets import FLOAT16, INT8, draw

NAMES = [f"n{number}.jpg" for number in range(8)]


def compact(*words) -> int:
    return cli.main(["compact", *map(str, words)])


def partition(root: Path, night: str, names: list[str], seed: int, **more) -> np.ndarray:
    vectors = draw(seed, 1, len(names))
    embedding_sets.write(root / night, names, vectors, **more)
    return vectors


def rows_of(path: Path) -> dict[str, np.ndarray]:
    given, _ = read_set(str(path), "embeddings")
    found = {}
    for block in given.blocks(given.all_slices()):
        found |= dict(zip(block.ids, block.vectors, strict=True))
    return found


def counts_of(path: Path) -> dict[str, int]:
    return json.loads((path / "manifest.json").read_text())["counts"]


@pytest.fixture
def nights(tmp_path) -> Path:
    root = tmp_path / "nights"
    root.mkdir()
    (root / "notes.txt").write_text("not a partition")
    return root


def test_the_newest_row_of_each_image_stays(nights, tmp_path):
    first = partition(nights, "2026-11-25", NAMES[:5], 1)
    # Image 1 has gone on the 26th and comes back on the 27th; image 2 has gone for good.
    second = partition(nights, "2026-11-26", NAMES[4:7], 2, removed=[NAMES[1], NAMES[2]])
    third = partition(nights, "2026-11-27", [NAMES[1]], 3)
    assert compact("--partitions", nights, "--output", tmp_path / "all") == 0
    expected = {
        NAMES[0]: first[0],
        NAMES[1]: third[0],
        NAMES[3]: first[3],
        NAMES[4]: second[0],
        NAMES[5]: second[1],
        NAMES[6]: second[2],
    }
    found = rows_of(tmp_path / "all")
    assert sorted(found) == sorted(expected)
    assert all((found[name] == vector).all() for name, vector in expected.items())
    assert counts_of(tmp_path / "all") == {
        "partitions": 3,
        "rows": 9,
        "images": 6,
        "replaced": 2,
        "gone": 1,
    }


def test_the_number_of_buckets_changes_no_row(nights, tmp_path, monkeypatch):
    partition(nights, "a", NAMES[:5], 1)
    partition(nights, "b", NAMES[2:], 2)
    outputs = [tmp_path / "one", tmp_path / "many"]
    for output, rows in zip(outputs, (100, 2), strict=True):
        monkeypatch.setattr(buckets, "_ROWS", rows)
        assert compact("--partitions", nights, "--output", output) == 0
    one, many = map(rows_of, outputs)
    assert sorted(one) == sorted(many)
    assert all((one[name] == many[name]).all() for name in one)
    assert len(list(outputs[1].glob("part-*"))) > 1
    monkeypatch.setattr(buckets, "_ROWS", 2)
    assert compact("--partitions", nights, "--output", tmp_path / "again") == 0
    assert contents(tmp_path / "again") == contents(outputs[1])


@pytest.mark.parametrize(("kinds", "stored"), [((INT8, INT8), "int8"), ((INT8, FLOAT16), "float")])
def test_equal_storage_stays_and_different_becomes_float32(nights, tmp_path, kinds, stored):
    for night, kind, names in zip("ab", kinds, (NAMES[:4], NAMES[4:]), strict=True):
        partition(nights, night, names, ord(night), kind=kind)
    assert compact("--partitions", nights, "--output", tmp_path / "all") == 0
    assert _type_of(tmp_path / "all") == stored
    before = rows_of(nights / "a") | rows_of(nights / "b")
    after = rows_of(tmp_path / "all")
    assert all((after[name] == before[name]).all() for name in NAMES)


def _type_of(path: Path) -> str:
    return str(pq.read_schema(next(path.glob("part-*"))).field("embedding").type.value_type)


def test_a_photo_with_fewer_faces_than_before_has_the_new_ones_alone(nights, tmp_path):
    partition(nights, "a", ["p.jpg#0", "p.jpg#1", "q.jpg#0"], 1)
    partition(nights, "b", ["p.jpg#0"], 2)
    for night in "ab":
        path = nights / night / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["options"]["faces"] = "all"
        path.write_text(json.dumps(manifest))
    assert compact("--partitions", nights, "--output", tmp_path / "all") == 0
    assert sorted(rows_of(tmp_path / "all")) == ["p.jpg#0", "q.jpg#0"]


def test_a_killed_run_is_left_out_and_reported(nights, tmp_path, capsys):
    partition(nights, "a", NAMES[:3], 1)
    (nights / "b").mkdir()
    (nights / "b" / ".incomplete").write_text("{}")
    assert compact("--partitions", nights, "--output", tmp_path / "all") == 0
    assert "b is left out: its run did not end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nothing", "--partitions must be a directory of embeddings, but"),
        ("another model", "--partitions must be of the model of"),
        ("another artifact", "must be an embeddings artifact, got kind 'dataset'; give embeddings"),
        ("inside", "--output must not lie in --partitions, got"),
        ("itself", "is an artifact itself; give the directory in which it lies"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_one_sentence(what, told, nights, tmp_path, capsys):
    output = tmp_path / "all"
    partitions = nights
    if what != "nothing":
        partition(nights, "a", NAMES[:3], 1)
    if what == "another model":
        partition(nights, "b", NAMES[:3], 1, model_id="b" * 64)
    if what == "another artifact":
        (nights / "b").mkdir()
        (nights / "b" / "manifest.json").write_text('{"kind": "dataset", "schema_version": 1}')
    if what == "inside":
        output = nights / "all"
    if what == "itself":
        partitions = nights / "a"
    assert compact("--partitions", partitions, "--output", output) == 2
    said = capsys.readouterr().err
    assert said.startswith("facemill: ")
    assert told in said
    assert said.count("\n") == 1
    assert not output.exists()
