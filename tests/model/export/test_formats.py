"""Each format of one small network: called by its runtime, beside the network itself."""

import zipfile

import keras
import numpy as np
import pytest

from facemill.model.export import comparison, keras_file, onnx_graph, tflite
from facemill.model.export.embedder import Embedder
from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes import formats, registry
from facemill.model.runtimes.litert_runtime import LiteRT

SIZE, DIMENSIONS = 16, 12
# What each format may differ by, and the least cosine, of a network that was not trained.
LOSSY = {
    formats.TFLITE_FLOAT16: (0.003, 0.9999),
    formats.TFLITE_DYNAMIC: (0.05, 0.995),
    formats.TFLITE_INT8: (0.1, 0.98),
}

pytestmark = pytest.mark.slow


def made(network: str, flip_average: bool = False, size: int = SIZE) -> Embedder:
    keras.utils.set_random_seed(4)
    recipe = Recipe(network=network, embedding_size=DIMENSIONS, flip_average=flip_average)
    return Embedder(recipe, size, np.float32([120, 110, 100]), np.float32([60, 61, 62]))


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return made("plain")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (11, SIZE, SIZE, 3), np.uint8)


def write(name: str, embedder: Embedder, pixels: np.ndarray, folder):
    """(spec, path) of a format."""
    path = folder / formats.FILES[name]
    if name == formats.KERAS:
        keras_file.export(embedder, str(path))
        return keras_file.SPEC, str(path)
    if name == formats.ONNX_FILE:
        content, spec = onnx_graph.convert(embedder)
    else:
        content = tflite.convert(embedder, name, pixels)
        spec = tflite.spec_of(content, name)
    path.write_bytes(content)
    return spec, str(path)


@pytest.mark.parametrize(
    "name", [name for name in formats.EXPORT_FORMATS if name != formats.SAVED_MODEL]
)
def test_a_file_gives_what_the_network_gives_as_far_as_its_format_can(
    embedder, pixels, tmp_path, name
):
    spec, path = write(name, embedder, pixels, tmp_path)
    assert (spec.file, spec.kind) == (formats.FILES[name], formats.RUNTIME_OF[name])
    assert formats.format_of(spec.file) == name
    assert spec.batch is None
    found = registry.load(spec, DIMENSIONS, 8, 1, path)(pixels)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    difference = comparison.difference(found, embedder.embed(pixels).numpy())
    largest, cosine = LOSSY.get(name, (1e-5, 0.999999))
    assert difference.largest < largest
    assert difference.least_cosine > cosine
    assert difference.exact == (name not in LOSSY)


def test_the_mirror_image_is_part_of_a_keras_file(pixels, tmp_path):
    embedder = made("plain", flip_average=True)
    spec, path = write(formats.KERAS, embedder, pixels, tmp_path)
    found = registry.load(spec, DIMENSIONS, 8, 1, path)(pixels)
    assert comparison.difference(found, embedder.embed(pixels).numpy()).exact


def test_a_keras_file_needs_no_code_of_ours(pixels, tmp_path):
    """Of a network with both of our layers."""
    embedder = made("residual", size=2 * SIZE)
    pixels = pixels.repeat(2, axis=1).repeat(2, axis=2)
    spec, path = write(formats.KERAS, embedder, pixels, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert b"facemill" not in archive.read("config.json")
    found = registry.load(spec, DIMENSIONS, 8, 1, path)(pixels)
    assert comparison.difference(found, embedder.embed(pixels).numpy()).exact


def test_tensorflows_own_interpreter_stands_in_for_litert(embedder, pixels, tmp_path, monkeypatch):
    spec, path = write(formats.TFLITE, embedder, pixels, tmp_path)
    expected = LiteRT(path, spec, len(pixels))(pixels)
    monkeypatch.setattr(tflite, "is_installed", lambda module: False)
    found = tflite.runtime(path, spec, len(pixels))(pixels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_full_int8_needs_images(embedder):
    with pytest.raises(ValueError, match="calibration images"):
        tflite.convert(embedder, formats.TFLITE_INT8)
