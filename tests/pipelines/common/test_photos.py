"""Faces of scored photos as thumbnails, as far as the photos can be had."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.common.photos import Photos
from facemill.transforms.scoring.embeddings import read_set
from tests import embedding_sets
from tests.embedding_sets import draw

IDS = ["a.png", "b.png", "c.png#0", "gone.png"]
BOXES = [None, [20.0, 20.0, 40.0, 40.0], [0.0, 0.0, 10.0, 10.0], None]


@pytest.fixture
def embeddings(tmp_path) -> str:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a", "b", "c"):
        pixels = np.zeros((60, 90, 3), np.uint8)
        pixels[20:40, 20:40] = 255
        Image.fromarray(pixels).save(photos / f"{name}.png")
    return embedding_sets.write(
        tmp_path / "e",
        IDS,
        draw(1, 1, 4),
        more={"face_box": BOXES},
        inputs={"input": str(photos)},
    )


def size_of(jpeg: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(jpeg)).size


def test_a_face_is_cut_from_its_photo_and_an_absent_photo_has_none(embeddings):
    found = Photos(read_set(embeddings, "probes")[0]).faces(IDS)
    assert sorted(found) == IDS[:3]
    assert size_of(found["a.png"]) == (90, 60)
    # A box of 20 pixels, and 6 on each side.
    assert size_of(found["b.png"]) == (33, 33)
    assert size_of(found["c.png#0"]) == (14, 14)
    pixels = np.asarray(Image.open(io.BytesIO(found["b.png"])).convert("L"))
    assert pixels[16, 16] > 240
    assert pixels[1, 1] < 15


def test_a_photo_outside_of_the_input_is_not_read(embeddings, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "secret.png")
    other = embedding_sets.write(
        tmp_path / "o",
        ["../secret.png"],
        draw(1, 1, 1),
        parts=1,
        inputs={"input": str(tmp_path / "photos")},
    )
    assert Photos(read_set(other, "probes")[0]).faces(["../secret.png"]) == {}


def test_photos_in_archives_have_no_thumbnails(embeddings):
    path = Path(embeddings) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["options"]["format"] = "webdataset"
    path.write_text(json.dumps(manifest))
    assert Photos(read_set(embeddings, "probes")[0]).faces(IDS) == {}
