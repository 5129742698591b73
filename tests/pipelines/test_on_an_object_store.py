"""Commands whose inputs lie on an object store."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from facemill.pipelines import cli
from tests.stores import Store, s3, upload

pytestmark = pytest.mark.slow

BUCKET = "sets"
DATASET = f"s3://{BUCKET}/dataset"


@pytest.fixture(scope="module")
def client(tiny_dataset) -> Iterator[Store]:
    with s3(BUCKET) as store:
        upload(tiny_dataset, DATASET)
        yield store


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_a_dataset_on_a_store_can_be_a_held_out_set(client, tiny_photos, tmp_path):
    photos = tmp_path / "photos"
    taken = sorted((tiny_photos / "id00001").iterdir())[:3]
    (photos / "stranger").mkdir(parents=True)
    for path in taken:
        shutil.copy(path, photos / "stranger")
    # Photos that are no duplicates of the dataset's: this level does not match mirror images.
    for path in sorted((tiny_photos / "id00002").iterdir())[:3]:
        _mirror(path, photos / "new" / path.name)
    flags = ("--image-size", 32, "--split", "train=1", "--workers", 1)
    held_out = ("--exclude-dataset", DATASET)
    output = tmp_path / "out"
    assert run("ingest", "--input", photos, "--output", output, *flags, *held_out) == 0
    rows = pq.read_table(output / "index").to_pylist()
    dropped = {row["image_id"]: row["duplicate_of"] for row in rows if row["outcome"] == "dropped"}
    assert dropped == {f"stranger/{path.name}": f"id00001/{path.name}" for path in taken}
    assert sum(row["outcome"] == "kept" for row in rows) == 3


def _mirror(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with Image.open(source) as photo:
        ImageOps.mirror(photo).save(target, quality=95)
