"""The same ingest graph on a portable runner, its workers in another process."""

import json

import pytest

from facemill.pipelines import cli
from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.recipe import Recipe
from tests.artifacts import contents
from tests.commands import facemill

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    plants = {"copy": 6, "reencode": 6, "resize": 6, "conflict": 4, "truncated": 2}
    collection.write(str(root), Recipe(identities=20, images_per_identity=8, plants=plants))
    return root / "images"


def test_the_dataset_is_byte_equal_to_that_of_a_local_run(photos, tmp_path, prism_flags):
    options = ["ingest", "--input", str(photos), "--image-size", "64"]
    assert cli.main([*options, "--output", str(tmp_path / "local")]) == 0
    facemill(*options, "--output", tmp_path / "prism", *prism_flags, timeout=300)

    local, portable = contents(tmp_path / "local"), contents(tmp_path / "prism")
    assert local == portable
    assert any(name.startswith("train/part-") for name in local)
    assert json.loads((tmp_path / "prism/run.json").read_text())["runner"] == "PortableRunner"
    assert json.loads((tmp_path / "local/run.json").read_text())["runner"] == "FnApiRunner"
