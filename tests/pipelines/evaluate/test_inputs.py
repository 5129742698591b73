"""Finding the embeddings of a protocol's images in an artifact's parts."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.pipelines.evaluate import inputs
from facemill.transforms.core.errors import RunError

SIZE = 3
ANN, BOB = "Ann/Ann_0001.jpg", "Bob/Bob_0001.jpg"


def column(vectors: list, size: int = SIZE) -> pa.Array:
    """float32 lists of a fixed size; None is a null row."""
    return pa.array(vectors, pa.list_(pa.float32(), size))


def write(root: Path, *parts: pa.Table, group: int = 1000) -> dict:
    """Writes the parts of an artifact; its manifest, as far as it is read here."""
    files = []
    for number, table in enumerate(parts):
        path = root / f"part-{number:05d}.parquet"
        pq.write_table(table, path, row_group_size=group)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        files.append({"path": path.name, "bytes": len(data), "sha256": digest})
    return {"embedding_size": SIZE, "files": files}


def table(vectors: dict[str, list]) -> pa.Table:
    """A part of image ids and their vectors."""
    return pa.table({"image_id": list(vectors), "embedding": column(list(vectors.values()))})


def read(root: Path, manifest: dict, *wanted: str) -> inputs.Embeddings:
    return inputs.read_embeddings(str(root), manifest, wanted)


def test_wanted_images_have_their_own_vectors_in_any_part(tmp_path):
    manifest = write(
        tmp_path,
        table({"Cat/Cat_0001.jpg": [9, 9, 9], BOB: [0, 2, 0]}),
        table({ANN: [1, 0, 0]}),
    )
    found = read(tmp_path, manifest, ANN, BOB)
    assert found.image_ids == {ANN: ANN, BOB: BOB}
    assert found.vectors.dtype == np.float32
    assert found.vectors[found.rows[ANN]].tolist() == [1, 0, 0]
    assert found.vectors[found.rows[BOB]].tolist() == [0, 2, 0]


def test_images_without_a_row_are_absent(tmp_path):
    manifest = write(tmp_path, table({ANN: [1, 0, 0]}))
    found = read(tmp_path, manifest, ANN, BOB)
    assert set(found.rows) == set(found.image_ids) == {ANN}


def test_rows_beyond_one_batch_and_one_row_group_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "BATCH", 2)
    vectors = {f"P/P_{number:04d}.jpg": [number + 1, 0, 0] for number in range(11)}
    wanted = sorted(vectors)[::3]
    manifest = write(tmp_path, table(vectors), group=5)
    found = read(tmp_path, manifest, *wanted)
    assert {name: found.vectors[row][0] for name, row in found.rows.items()} == {
        name: vectors[name][0] for name in wanted
    }


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("ids", "best"),
    [
        ((ANN, "Ann/Ann_0001.png"), ANN),
        (("Ann/Ann_0001.png", "deep/Ann/Ann_0001.jpg"), "Ann/Ann_0001.png"),
        ((ANN, "deep/Ann/Ann_0001.jpg", "deeper/Ann/Ann_0001.jpg"), ANN),
    ],
)
def test_the_exact_name_wins_then_another_extension_then_deeper_folders(tmp_path, ids, best, order):
    vectors = {image_id: [number + 1, 0, 0] for number, image_id in enumerate(ids)}
    parts = [table({image_id: vectors[image_id]}) for image_id in ids[::order]]
    found = read(tmp_path, write(tmp_path, *parts), ANN)
    assert found.image_ids == {ANN: best}
    assert found.vectors[found.rows[ANN]].tolist() == vectors[best]


@pytest.mark.parametrize(
    "ids",
    [
        ("Ann/Ann_0001.png", "Ann/Ann_0001.bmp"),
        ("a/Ann/Ann_0001.jpg", "b/Ann/Ann_0001.png"),
    ],
)
def test_two_equally_good_matches_are_an_error(tmp_path, ids):
    manifest = write(tmp_path, table({image_id: [1, 0, 0] for image_id in ids}))
    with pytest.raises(RunError, match=f"it could be {ids[0]} or {ids[1]}"):
        read(tmp_path, manifest, ANN)


@pytest.mark.parametrize("image_id", ["Ann_0001.jpg", "XAnn/Ann_0001.jpg", "Ann/Ann_0001.jpg/1"])
def test_other_names_do_not_match(tmp_path, image_id):
    manifest = write(tmp_path, table({image_id: [1, 0, 0]}))
    assert not read(tmp_path, manifest, ANN).rows


@pytest.mark.parametrize("vector", [[0, 0, 0], [np.nan, 1, 1], [np.inf, 1, 1]])
def test_a_vector_of_zeros_or_without_finite_numbers_is_an_error(tmp_path, vector):
    manifest = write(tmp_path, table({ANN: vector, BOB: [1, 0, 0]}))
    with pytest.raises(RunError, match=f"embedding of {ANN} .* must be finite and not zero"):
        read(tmp_path, manifest, ANN, BOB)
    # Rows that the protocol does not name are not judged.
    assert set(read(tmp_path, manifest, BOB).rows) == {BOB}


# pyarrow itself refuses some of the lists that are null.
@pytest.mark.parametrize(
    ("vector", "message"), [([None, 1, 1], "must not be null"), (None, "score the images again")]
)
def test_a_null_embedding_is_an_error(tmp_path, vector, message):
    manifest = write(tmp_path, table({ANN: vector, BOB: [1, 0, 0]}))
    with pytest.raises(RunError, match=message):
        read(tmp_path, manifest, ANN)


@pytest.mark.parametrize(
    "part",
    [
        pa.table({"image_id": [ANN], "embedding": column([[1, 0]], 2)}),
        pa.table({"image_id": [ANN], "embedding": pa.array([[1.0, 0, 0]])}),
        pa.table({"image_id": [1], "embedding": column([[1, 0, 0]])}),
        pa.table({"image_id": [ANN]}),
    ],
    ids=["other size", "size not fixed", "number as id", "no embedding"],
)
def test_a_part_with_other_columns_is_an_error(tmp_path, part):
    manifest = write(tmp_path, part)
    with pytest.raises(RunError, match=r"must have the columns image_id \(string\) and embedding"):
        read(tmp_path, manifest, ANN)


def test_a_part_that_is_no_parquet_file_is_an_error(tmp_path):
    manifest = write(tmp_path, table({ANN: [1, 0, 0]}))
    (tmp_path / "part-00000.parquet").write_bytes(b"no table")
    digest = hashlib.sha256(b"no table").hexdigest()
    manifest["files"][0] |= {"bytes": 8, "sha256": digest}
    with pytest.raises(RunError, match="must be a readable Parquet file"):
        read(tmp_path, manifest, ANN)


def test_a_part_that_differs_from_the_manifest_is_an_error(tmp_path):
    manifest = write(tmp_path, table({ANN: [1, 0, 0]}))
    write(tmp_path, table({ANN: [1, 0, 1]}))
    with pytest.raises(RunError, match=r"part-00000\.parquet"):
        read(tmp_path, manifest, ANN)


def test_files_that_are_no_parts_are_not_read(tmp_path):
    manifest = write(tmp_path, table({ANN: [1, 0, 0]}))
    manifest["files"].append({"path": "errors/part-0.parquet", "bytes": 1, "sha256": "0" * 64})
    assert set(read(tmp_path, manifest, ANN).rows) == {ANN}
