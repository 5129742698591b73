"""Calls of one size, the input as a network wants it, and images that make it fail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.runtimes.embedder import ImageEmbedder, network_input, normalized
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.scoring.model import embed_each
from facemill.transforms.scoring.refused import ImageRefusedError

SPEC = RuntimeSpec("litert", "file", "x", "y", normalize=False)
# Reds of images that make the network fail in four ways.
RAISES, NAN, SHAPE, DIMENSION = 1, 2, 3, 4


class Network:
    """The first red and the second green of each image; fails on four reds."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        reds = set(batch[:, 0, 0, 0])
        if RAISES in reds:
            raise ImageRefusedError(Reason(ReasonCode.MODEL_FAILED, "the model cannot read it"))
        found = np.stack([batch[:, 0, 0, 0], batch[:, 0, 1, 1]], axis=1)
        found[found[:, 0] == NAN] = np.nan
        if SHAPE in reds:
            return found[None]
        return np.tile(found, 2) if DIMENSION in reds else found


def images(reds) -> np.ndarray:
    pixels = np.zeros((len(reds), 2, 2, 3), np.uint8)
    pixels[..., 0] = np.reshape(reds, (-1, 1, 1))
    pixels[..., 1] = np.arange(len(reds)).reshape(-1, 1, 1)
    return pixels


@pytest.mark.parametrize(("batch", "runtimes"), [(1, 1), (2, 1), (2, 3), (8, 2)])
@pytest.mark.parametrize("count", [1, 5, 8, 17])
def test_every_call_is_full_and_every_image_has_its_own_row(batch, runtimes, count):
    loaded = [Network() for _ in range(runtimes)]
    found = ImageEmbedder(loaded, SPEC, batch, 2)(images(range(100, 100 + count)))
    np.testing.assert_array_equal(found, [[100 + i, i] for i in range(count)])
    sizes = [size for one in loaded for size in one.sizes]
    assert sizes == [batch] * -(-count // batch)


@given(st.lists(st.sampled_from([RAISES, NAN, SHAPE, DIMENSION, 50, 60]), min_size=1, max_size=24))
def test_a_guilty_image_fails_alone_and_the_others_have_the_same_bytes(reds):
    found = embed_each(images(reds), ImageEmbedder([Network()], SPEC, 4, 2))
    codes = {
        RAISES: ReasonCode.MODEL_FAILED,
        NAN: ReasonCode.NOT_FINITE,
        SHAPE: ReasonCode.WRONG_SHAPE,
        DIMENSION: ReasonCode.WRONG_SHAPE,
    }
    for index, (red, one) in enumerate(zip(reds, found, strict=True)):
        if red in codes:
            assert isinstance(one, Reason)
            assert one.code == codes[red]
        else:
            assert one.tobytes() == np.float32([red, index]).tobytes()


def test_the_reason_of_a_wrong_shape_names_both():
    (found,) = embed_each(images([DIMENSION]), ImageEmbedder([Network()], SPEC, 1, 2))
    assert found == "the model gives an output of shape [1, 4] and not [1, 2]"


def test_axes_of_one_go_and_the_first_call_sets_the_dimension():
    embed = ImageEmbedder([lambda batch: np.ones((len(batch), 1, 1, 3))], SPEC, 4, None)
    assert embed(images([9, 9])).shape == (2, 3)


@given(
    color=st.sampled_from(["rgb", "bgr"]),
    layout=st.sampled_from(["nhwc", "nchw"]),
    mean=st.lists(st.floats(0, 255, width=32), min_size=3, max_size=3),
)
def test_samples_are_centered_scaled_and_ordered(color, layout, mean):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 3), np.uint8)
    scale = (1 / 128, 1 / 64, 1 / 32)
    spec = RuntimeSpec("litert", "f", "x", "y", color=color, layout=layout)
    found = network_input(pixels, spec, np.float32(mean), np.float32(scale))
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    back = found if layout == "nhwc" else found.transpose(0, 2, 3, 1)
    ordered = pixels if color == "rgb" else pixels[..., ::-1]
    np.testing.assert_array_equal(
        back, (np.float32(ordered) - np.float32(mean)) * np.float32(scale)
    )


def test_a_network_of_bytes_gets_the_bytes():
    pixels = images([0, 128, 255])
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    found = network_input(pixels, RuntimeSpec("litert", "f", "x", "y", dtype="uint8"), zeros, ones)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


def test_a_vector_of_zeros_has_no_direction_and_a_large_one_has():
    found = normalized(np.float32([[0, 0], [3e30, 4e30]]))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [0.6, 0.8], rtol=1e-6)
