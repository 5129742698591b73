"""Ingest with the local runner's own worker processes."""

import pytest

from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.artifacts import contents
from tests.commands import facemill
from tests.pipelines.ingest.ingesting import exit_code

pytestmark = pytest.mark.slow


# With two, each of Beam's processes has two processes of its own.
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_multi_processing_is_byte_equal_to_in_memory(tmp_path, workers):
    plants = {"copy": 2, "reencode": 2, "crop": 2, "mirror": 2, "conflict": 2, "truncated": 2}
    recipe = Recipe(identities=8, images_per_identity=4, image_size=64, plants=plants)
    collection.write(str(tmp_path), recipe)
    flags = ["--image-size", 32, "--dedup", "thorough", "--max-rejected", 1]
    images = tmp_path / "images"
    assert exit_code(images, tmp_path / "a", *flags, "--workers", 1) == 0
    processes = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    command = ["ingest", "--input", images, "--output", tmp_path / "b", *flags]
    command += ["--workers", workers]
    facemill(*command, *processes, timeout=300)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
