"""Ingest with the local runner's own worker processes."""

import pytest

from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.artifacts import contents
from tests.commands import facemill

pytestmark = pytest.mark.slow


def test_multi_processing_is_byte_equal_to_in_memory(tmp_path):
    plants = {"copy": 4, "reencode": 4, "crop": 4, "mirror": 4, "conflict": 3, "truncated": 2}
    collection.write(str(tmp_path), Recipe(identities=30, images_per_identity=12, plants=plants))
    options = ["ingest", "--input", tmp_path / "images", "--image-size", 64, "--dedup", "thorough"]
    facemill(*options, "--output", tmp_path / "a", "--workers", 1)
    processes = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    facemill(*options, "--output", tmp_path / "b", "--workers", 2, *processes, timeout=300)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
