import dataclasses
import io

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facemill.model.data import tfdata
from facemill.model.export.embedder import Embedder
from facemill.model.export.saved_model import Exported, copy_outside_strategy, export, model_id
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.images.resize import resize_to_square
from tests.model import tiny

RECIPE = Recipe(network="plain", embedding_size=16)
PREPROCESSING = {"image_size": tiny.SIZE, "crop_fraction": 0.5}


@pytest.fixture(scope="module")
def embedder(transform):
    return Embedder(RECIPE, tiny.SIZE, transform.pixel_mean, transform.pixel_std)


@pytest.fixture(scope="module")
def saved(embedder, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("saved") / "model")
    export(embedder, PREPROCESSING["crop_fraction"], path)
    return tf.saved_model.load(path)


def serve(saved, encoded: list[bytes]) -> np.ndarray:
    return saved.signatures["serving_default"](image_bytes=tf.constant(encoded))[
        "embedding"
    ].numpy()


def embed(saved, pixels: np.ndarray) -> np.ndarray:
    return saved.signatures["pixels"](pixels=tf.constant(pixels))["embedding"].numpy()


def file_of(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def photo(height: int, width: int) -> np.ndarray:
    """Smooth colors with some noise, as photos have."""
    down, right = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(1).normal(0, 6, (height, width, 3))
    smooth = np.stack([255 * down / height, 255 * right / width, 60 + 0 * down], axis=-1)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


@pytest.mark.moderate
def test_a_jpeg_has_the_embedding_that_training_saw(saved, embedder, dataset):
    encoded = list(tiny.identity_of(dataset, "val"))[:6]
    vectors = serve(saved, encoded)
    assert vectors.shape == (6, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    # `tfdata` decodes the JPEG to the same pixels as the exported model.
    (pixels,) = tfdata.images(encoded, tiny.SIZE)
    np.testing.assert_allclose(vectors, embedder.embed(pixels), atol=1e-6)
    np.testing.assert_allclose(embed(saved, pixels.numpy()), vectors, atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_serving_decodes_to_the_very_pixels_of_training(embedder, dataset):
    module = Exported(embedder, 0.5)
    for encoded in list(tiny.identity_of(dataset, "val"))[:6]:
        np.testing.assert_array_equal(
            module._standardized(tf.constant(encoded)),
            tfdata.decode(tf.constant(encoded), tiny.SIZE),
        )


def test_the_saved_model_normalizes_pixels(saved, embedder, transform, dataset):
    encoded = list(tiny.identity_of(dataset, "val"))[:2]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one)), np.float64) for one in encoded])
    standardized = (pixels - transform.pixel_mean) / transform.pixel_std
    raw = embedder.network(standardized.astype(np.float32)).numpy()
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(serve(saved, encoded), expected, atol=1e-5)


def test_a_png_of_the_models_size_is_taken_as_it_is(saved):
    pixels = photo(tiny.SIZE, tiny.SIZE)
    vectors = serve(saved, [file_of(pixels, "PNG")])
    np.testing.assert_allclose(vectors, embed(saved, pixels[np.newaxis]), atol=1e-6)


def test_a_grey_jpeg_has_three_equal_channels(saved):
    grey = photo(tiny.SIZE, tiny.SIZE)[..., 0]
    encoded = file_of(grey, "JPEG")
    pixels = np.repeat(np.asarray(Image.open(io.BytesIO(encoded)))[..., np.newaxis], 3, axis=2)
    np.testing.assert_allclose(serve(saved, [encoded]), embed(saved, pixels[np.newaxis]), atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width"),
    [(128, 128), (120, 97), (65, 200), (20, 31), (64, 90), (250, 250), (32, 48)],
)
def test_another_size_goes_through_the_center_crop(saved, embedder, height, width):
    pixels = photo(height, width)
    side = max(1, round(min(height, width) * 0.5))
    top, left = (height - side) // 2, (width - side) // 2
    crop = pixels[top : top + side, left : left + side]
    # As `transforms.images.resize` resizes: by area when it shrinks, linearly when it enlarges.
    method = cv2.INTER_AREA if side > tiny.SIZE else cv2.INTER_LINEAR
    expected = cv2.resize(crop, (tiny.SIZE, tiny.SIZE), interpolation=method)
    encoded = file_of(pixels, "PNG")
    found = Exported(embedder, 0.5)._standardized(tf.constant(encoded)).numpy()
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    # Where an average ends in one half, OpenCV and TensorFlow may round it differently.
    assert difference.mean() < 0.15
    vectors = serve(saved, [encoded])
    np.testing.assert_allclose(vectors, embed(saved, found[np.newaxis]), atol=1e-6)


@pytest.mark.moderate
@pytest.mark.parametrize(("height", "width"), [(128, 128), (65, 200), (20, 31), (20, 90)])
def test_without_a_crop_the_complete_image_is_resized(embedder, tmp_path, height, width):
    pixels = photo(height, width)
    encoded = file_of(pixels, "PNG")
    found = Exported(embedder, None)._standardized(tf.constant(encoded)).numpy()
    difference = np.abs(found.astype(int) - resize_to_square(pixels, tiny.SIZE))
    assert difference.max() <= 1
    assert difference.mean() < 0.15
    export(embedder, None, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    vectors = serve(loaded, [encoded])
    np.testing.assert_allclose(vectors, embed(loaded, found[np.newaxis]), atol=1e-6)


def test_bytes_that_are_no_image_are_an_error_of_the_call(saved):
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(saved, [b"not an image"])


def test_the_model_id_follows_from_weights_recipe_and_preprocessing(embedder, transform):
    first = model_id(embedder, RECIPE, PREPROCESSING)
    assert len(bytes.fromhex(first)) == 32
    moments = transform.pixel_mean, transform.pixel_std
    same = Embedder(RECIPE, tiny.SIZE, *moments)
    same.network.set_weights(embedder.network.get_weights())
    assert model_id(same, RECIPE, dict(reversed(PREPROCESSING.items()))) == first
    assert model_id(same, dataclasses.replace(RECIPE, margin=0.4), PREPROCESSING) != first
    assert model_id(same, RECIPE, {**PREPROCESSING, "crop_fraction": 0.6}) != first
    weights = same.network.get_weights()
    weights[-1][0] = np.nextafter(weights[-1][0], np.float32(1))
    same.network.set_weights(weights)
    assert model_id(same, RECIPE, PREPROCESSING) != first


@pytest.mark.moderate
def test_the_pixel_moments_are_part_of_the_model_id(transform):
    def id_with(*moments: np.ndarray) -> str:
        # The seed makes the weights equal; the embeddings differ by the moments.
        keras.utils.set_random_seed(1)
        return model_id(Embedder(RECIPE, tiny.SIZE, *moments), RECIPE, PREPROCESSING)

    mean, std = transform.pixel_mean, transform.pixel_std
    first = id_with(mean, std)
    for other in (
        (np.nextafter(mean, np.float32(300)), std),
        (mean, np.nextafter(std, np.float32(300))),
        (std, mean),
    ):
        assert id_with(*other) != first
    assert id_with(mean, std) == first


def test_a_copy_outside_of_the_strategy_is_the_same_model(transform):
    moments = transform.pixel_mean, transform.pixel_std
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        trained = Embedder(RECIPE, tiny.SIZE, *moments)
    plain = copy_outside_strategy(trained, RECIPE, *moments)
    assert model_id(plain, RECIPE, PREPROCESSING) == model_id(trained, RECIPE, PREPROCESSING)
    pixels = photo(tiny.SIZE, tiny.SIZE)[np.newaxis]
    np.testing.assert_allclose(plain.embed(pixels), trained.embed(pixels), atol=1e-6)
