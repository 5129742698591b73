"""The TFLite twin of each network gives what the network gives, for any number of images."""

import keras
import numpy as np
import pytest

from facemill.model.export import tflite
from facemill.model.export.embedder import Embedder
from facemill.model.recipes.choices import IR_NETWORKS, NETWORKS
from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes import registry
from facemill.model.runtimes.spec import RuntimeSpec

DIMENSIONS = 16
# Sides of images, of `patches` and of all others.
SIDES = {"patches": 64}
# The IR-ResNets are made of what `residual` is made of.
DISTINCT = [
    # `compact` and `patches` are made of its layers; the ghost modules take twelve seconds.
    pytest.param(name, marks=pytest.mark.long) if name in ("residual", "ghostfacenet") else name
    for name in NETWORKS
    if name not in IR_NETWORKS
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=DISTINCT)
def embedder(request) -> Embedder:
    keras.utils.set_random_seed(4)
    recipe = Recipe(
        network=request.param, embedding_size=DIMENSIONS, flip_average=request.param == "plain"
    )
    side = SIDES.get(request.param, 32)
    return Embedder(recipe, side, np.float32([120, 110, 100]), np.float32([60, 61, 62]))


def test_the_twin_equals_the_network_and_is_equal_to_the_bit_for_any_batch(embedder, tmp_path):
    side = embedder.network.input_shape[1]
    pixels = np.random.default_rng(2).integers(0, 256, (11, side, side, 3), np.uint8)
    content = tflite.convert(embedder)
    path = tmp_path / "embedder.tflite"
    path.write_bytes(content)
    # The manifest's entry has further keys.
    entry = tflite.spec_of(content).to_manifest() | {"largest_difference": 1e-7}
    spec = RuntimeSpec.from_manifest(entry)
    found = [
        registry.load(spec, DIMENSIONS, batch, threads, str(path))(pixels)
        for batch, threads in ((1, 1), (32, 2))
    ]
    assert found[0].tobytes() == found[1].tobytes()
    assert np.abs(found[0] - embedder.embed(pixels)).max() < 1e-5
    alone = registry.load(spec, DIMENSIONS, 32, 1, str(path))(pixels[3:4])
    assert alone.tobytes() == found[0][3:4].tobytes()
