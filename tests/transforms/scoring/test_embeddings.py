"""Reading embeddings artifacts: any storage type, any slice, checked against the manifest."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.scoring import embeddings
from facemill.transforms.scoring.embeddings import Slice
from tests import embedding_sets
from tests.embedding_sets import FLOAT16, FLOAT32, INT8, draw, named

IDS, WHO = named(5, 5)
VECTORS = draw(1, 5, 5)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    return embedding_sets.write(tmp_path_factory.mktemp("set") / "e", IDS, VECTORS, WHO)


def opened(path: str) -> embeddings.EmbeddingSet:
    return embeddings.read_set(path, "embeddings")[0]


@pytest.mark.parametrize(("kind", "error"), [(FLOAT32, 0), (FLOAT16, 1e-3), (INT8, 5e-3)])
def test_every_storage_type_is_read_as_float32(tmp_path, kind, error):
    given = opened(embedding_sets.write(tmp_path / "e", IDS, VECTORS, kind=kind))
    found = {}
    for block in given.blocks(given.all_slices()):
        assert block.vectors.dtype == np.float32
        found |= dict(zip(block.ids, block.vectors, strict=True))
    assert sorted(found) == sorted(IDS)
    assert np.abs(np.stack([found[name] for name in IDS]) - VECTORS).max() <= error


@pytest.mark.moderate
@settings(deadline=None)
@given(start=st.integers(0, 13), length=st.integers(0, 13), rows=st.integers(1, 9))
def test_a_slice_has_its_rows_in_order(path, start, length, rows):
    given = opened(path)
    (whole,) = [list(one) for one in [given.tables([Slice(0, 0, 13)], ("image_id",), 100)]]
    ids = [name for table in whole for name in table["image_id"].to_pylist()]
    blocks = list(given.blocks([Slice(0, start, min(13, start + length))], rows=rows))
    assert [name for block in blocks for name in block.ids] == ids[start : start + length]
    assert all(len(block) <= rows for block in blocks)


def test_rows_of_parts_come_from_their_footers(path):
    given = opened(path)
    assert given.part_rows() == [13, 12]
    assert given.all_slices() == [Slice(0, 0, 13), Slice(1, 0, 12)]
    assert given.columns()[:3] == ["image_id", "source", "identity"]


def test_a_column_that_a_part_lacks_is_null(path):
    given = opened(path)
    for table in given.tables(given.all_slices(), ("image_id", "mood")):
        assert table["mood"].null_count == len(table)


def test_a_changed_part_is_refused(tmp_path):
    path = embedding_sets.write(tmp_path / "e", IDS, VECTORS)
    part = next(Path(path).glob("part-*"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match="must have the SHA-256 of its manifest"):
        opened(path).check_files()


def test_rows_of_another_model_are_refused(tmp_path):
    path = embedding_sets.write(tmp_path / "e", IDS, VECTORS, model_id="b" * 64)
    manifest = json.loads((Path(path) / "manifest.json").read_text())
    given = embeddings.EmbeddingSet.of(path, manifest | {"model_id": "c" * 64})
    with pytest.raises(RunError, match="must be of one model"):
        list(given.blocks(given.all_slices()))


def test_another_size_than_the_manifests_is_refused(path):
    manifest = json.loads((Path(path) / "manifest.json").read_text())
    given = embeddings.EmbeddingSet.of(path, manifest | {"embedding_size": 8})
    with pytest.raises(RunError, match="must have the columns image_id"):
        list(given.blocks(given.all_slices()))


def test_sets_of_two_models_are_refused(path, tmp_path):
    other = opened(embedding_sets.write(tmp_path / "e", IDS, VECTORS, model_id="b" * 64))
    with pytest.raises(UsageError, match="`gallery` must be of the model of"):
        embeddings.check_same_model(opened(path), other, "gallery")
    embeddings.check_same_model(opened(path), opened(path), "gallery")


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_vectors_without_a_direction_are_refused(wrong):
    with pytest.raises(RunError, match="must be finite and not zero"):
        embeddings.unit(np.full((1, 4), wrong, np.float32), "e")


@given(seed=st.integers(0, 1000), cut=st.integers(0, 30))
def test_a_unit_row_depends_on_itself_alone(seed, cut):
    rows = np.random.default_rng(seed).standard_normal((30, 33)).astype(np.float32)
    parts = [embeddings.unit(one, "e") for one in (rows[:cut], rows[cut:])]
    assert np.concatenate(parts).tobytes() == embeddings.unit(rows, "e").tobytes()


def test_parts_are_found_in_the_folder_of_a_partition_too():
    names = [
        *("part-0.parquet", "_a/part-1.parquet", "_a/errors/part-2.parquet", "removed/part-3"),
        *("report.html", "outliers/part-4.parquet", "a/part-5.parquet", "_a/removed/part-6"),
    ]
    manifest = {"files": [{"path": name} for name in names]}

    def paths(entries) -> list[str]:
        return [entry["path"] for entry in entries]

    assert paths(embeddings.part_entries(manifest)) == names[:2]
    assert paths(embeddings.entries_in(manifest, "errors")) == [names[2]]
    assert paths(embeddings.entries_in(manifest, "removed")) == [names[3], names[7]]


def test_sets_of_two_sizes_by_one_model_are_refused(path, tmp_path):
    other = opened(embedding_sets.write(tmp_path / "e", IDS, VECTORS[:, :8]))
    with pytest.raises(UsageError, match=r"`gallery` must have the .* numbers in a row of"):
        embeddings.check_same_model(opened(path), other, "gallery")
