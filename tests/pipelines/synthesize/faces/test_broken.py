import io

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from facemill.pipelines.synthesize.faces import broken, faces


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return faces.render(1, 1, 1, 112)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _difference(image: Image.Image, pixels: np.ndarray) -> float:
    return float(np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).mean())


def test_truncated_has_a_header_but_incomplete_image_data(pixels):
    image = _open(broken.truncated(pixels))
    assert image.size == (112, 112)
    with pytest.raises(OSError, match="truncated"):
        image.load()


@pytest.mark.parametrize("data", [broken.not_an_image(), broken.zero_bytes()])
def test_files_that_are_no_images_are_not_identified(data):
    with pytest.raises(UnidentifiedImageError):
        _open(data)


def test_bomb_is_tiny_and_claims_an_enormous_raster():
    assert len(broken.bomb()) < 200_000
    assert broken.bomb()[16:24] == (30_000).to_bytes(4, "big") * 2
    with pytest.raises(Image.DecompressionBombError):
        _open(broken.bomb())


def test_bomb_is_a_valid_png():
    image = _open(broken.bomb(350))
    assert np.asarray(image).shape == (350, 350)
    assert not np.asarray(image).any()


def test_png_keeps_every_pixel(pixels):
    image = _open(broken.png(pixels))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), pixels)


def test_cmyk_has_four_channels_and_the_same_colors(pixels):
    image = _open(broken.cmyk(pixels))
    assert (image.format, image.mode) == ("JPEG", "CMYK")
    assert _difference(image, pixels) < 8


def test_sixteen_bit_holds_the_brightness_times_257(pixels):
    image = _open(broken.sixteen_bit(pixels))
    assert (image.format, image.mode) == ("PNG", "I;16")
    values = np.asarray(image)
    assert (values % 257 == 0).all()
    assert np.abs(values // 257 - np.asarray(Image.fromarray(pixels).convert("L"))).max() <= 1


def test_alpha_fades_toward_the_corners(pixels):
    image = _open(broken.alpha(pixels))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    values = np.asarray(image)
    assert np.array_equal(values[..., :3], pixels)
    assert values[56, 56, 3] == 255
    assert values[0, 0, 3] == 0


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotated_is_upright_once_the_orientation_is_applied(pixels, orientation):
    image = _open(broken.exif_rotated(pixels, orientation))
    assert image.getexif()[0x0112] == orientation
    assert _difference(image, pixels) > 15
    assert _difference(ImageOps.exif_transpose(image), pixels) < 8
