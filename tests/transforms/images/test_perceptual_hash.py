import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import perceptual_hash


def _distance(first: bytes, second: bytes) -> int:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


def _pattern(height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 3], made by integer arithmetic alone."""
    row, column, channel = np.ogrid[:height, :width, :3]
    parts = (
        row * row * 3,
        column * (column // 7) * (channel + 2),
        row * column // 5 * (3 - channel),
    )
    return (sum(parts) % 256).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 64), "0902133c002a080b1b64042203922461"),
        ((112, 112), "011202040093004800020009009e0061"),
        ((250, 200), "08816c00030000329a0002c004408380"),
    ],
)
def test_dct_hash_golden_values(shape: tuple[int, int], expected: str) -> None:
    # Indexes of earlier datasets hold these hashes: a change of them needs a new schema version.
    assert perceptual_hash.dct_hash(_pattern(*shape)).hex() == expected


def test_pixel_sha256_golden_value() -> None:
    digest = perceptual_hash.pixel_sha256(_pattern(64, 64))
    assert digest == "cb8be8d29b62931aaa3e97357f944e433484e0d94af13510e7f4af8f2313c1a3"


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (63, 500), (112, 112), (250, 250), (900, 129)])
def test_small_is_64_by_64_of_any_shape(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 77, np.uint8)
    assert np.array_equal(perceptual_hash.small(pixels), np.full((64, 64, 3), 77))


def test_small_of_a_64_by_64_image_is_that_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(perceptual_hash.small(pixels), pixels)
    assert perceptual_hash.dct_hash(
        perceptual_hash.small(render(0, 1, 0, 250))
    ) == perceptual_hash.dct_hash(render(0, 1, 0, 250))


def test_small_depends_on_every_part_of_the_image() -> None:
    # A bright spot of four by four anywhere changes the result.
    for start in range(0, 496, 3):
        pixels = np.zeros((500, 500, 3), np.uint8)
        pixels[start : start + 4, start : start + 4] = 255
        assert perceptual_hash.small(pixels).sum() > 0


def test_bits_are_signs_of_the_lowest_frequencies_but_the_zeroth() -> None:
    frequencies = set(
        zip(perceptual_hash.VERTICAL.tolist(), perceptual_hash.HORIZONTAL.tolist(), strict=True)
    )
    assert len(frequencies) == perceptual_hash.HASH_BITS
    assert (0, 0) not in frequencies
    radius = max(v * v + h * h for v, h in frequencies)
    inside = {(v, h) for v in range(20) for h in range(20) if 0 < v * v + h * h < radius}
    assert inside <= frequencies


@pytest.mark.parametrize("bit", [0, 1, 40, 127])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_wave_sets_its_bit_only(bit: int, sign: int) -> None:
    centers = (np.arange(64) + 0.5) / 64 * np.pi
    wave = np.outer(
        np.cos(perceptual_hash.VERTICAL[bit] * centers),
        np.cos(perceptual_hash.HORIZONTAL[bit] * centers),
    )
    # Rounded to whole levels, a wave has a little of all others: only its own bit is sure.
    pixels = np.round(128 + sign * 100 * wave).astype(np.uint8)
    code = perceptual_hash.dct_hash(np.repeat(pixels[..., None], 3, axis=2))
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    assert bits[bit] == (sign > 0)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_uniform_images_hash_to_zeros(level: int) -> None:
    assert perceptual_hash.dct_hash(np.full((90, 70, 3), level, np.uint8)) == bytes(16)


def test_rows_of_cosines_add_up_to_zero_exactly() -> None:
    assert not perceptual_hash.cosines(0, 1)[1:].sum(axis=1).any()


def test_hashes_of_copies_are_near_and_of_other_faces_are_not() -> None:
    faces = [render(0, identity, 0, 250) for identity in range(12)]
    codes = [perceptual_hash.dct_hash(face) for face in faces]
    for face, code in zip(faces, codes, strict=True):
        encoded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        half = cv2.resize(face, (125, 125), interpolation=cv2.INTER_AREA)
        for copy in (cv2.imdecode(encoded, cv2.IMREAD_COLOR), half):
            assert _distance(code, perceptual_hash.dct_hash(copy)) <= 15
    distances = [_distance(a, b) for a in codes for b in codes if a is not b]
    assert min(distances) > 15


def test_the_grey_thumbnail() -> None:
    pixels = render(0, 3, 0, 200)
    grey = perceptual_hash.grey_thumbnail(pixels)
    assert (grey.shape, grey.dtype) == ((64, 64), np.uint8)
    assert abs(float(grey.mean()) - cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).mean()) < 1


def test_pixel_sha256_depends_on_the_shape() -> None:
    pixels = np.arange(24, dtype=np.uint8)
    wide, high = pixels.reshape(2, 4, 3), pixels.reshape(4, 2, 3)
    assert perceptual_hash.pixel_sha256(wide) != perceptual_hash.pixel_sha256(high)
    assert perceptual_hash.pixel_sha256(wide) == perceptual_hash.pixel_sha256(wide.copy())
