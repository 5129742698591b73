import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facemill.pipelines.synthesize.faces import broken
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import decode as module
from facemill.transforms.images.decode import DecodeError, decode
from facemill.transforms.images.process import prepare_process
from tests.transforms.images.encoded import FACE, FORMATS, LOSSLESS, OBLONG, exif, of, saved

OBLONG[:6, :6] = (255, 0, 0)
OBLONG[-6:, -6:] = (0, 0, 255)


@pytest.mark.parametrize("form", FORMATS)
def test_every_supported_format_is_decoded(form):
    decoded = decode(of(form))
    assert (decoded.width, decoded.height) == (48, 36)
    assert decoded.pixels.dtype == np.uint8
    difference = np.abs(decoded.pixels.astype(int) - OBLONG)
    # A GIF has 256 colors.
    assert difference.mean() < (0.001 if form in LOSSLESS else 8)


@pytest.mark.parametrize("form", ["ICO", "PCX", "TGA", "JPEG2000", "SGI", "PDF", "EPS"])
def test_other_formats_are_refused(form):
    with pytest.raises(DecodeError, match="not an image of a known format"):
        decode(of(form, FACE))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"\xff", "not an image"),
        (broken.not_an_image(), "not an image"),
        (broken.bomb(), "limit of 100000000 pixels"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"GIF89a", "image"),
    ],
    ids=["nothing", "a byte", "a page", "bomb", "only a PNG's name", "only a GIF's name"],
)
def test_files_that_are_not_images_are_refused(data, message):
    with pytest.raises(DecodeError, match=message):
        decode(data)


def test_a_file_above_the_limit_is_not_opened(monkeypatch):
    data = of("PNG")
    monkeypatch.setattr(module, "MAX_BYTES", len(data) - 1)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(DecodeError, match=f"file of {len(data)} bytes is above the limit"):
        decode(data)


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_above_the_pixel_limit_is_not_decoded(form, monkeypatch):
    data = of(form)
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 36 - 1)
    monkeypatch.setattr(module, "MAX_JPEG_PIXELS", 48 * 36 - 1)

    def unpacked(image):
        raise AssertionError("the raster was allocated before the header was checked")

    with Image.open(io.BytesIO(data)) as image:
        monkeypatch.setattr(type(image), "load", unpacked)
    with pytest.raises(DecodeError, match="48x36 is above the limit of 1727 pixels"):
        decode(data)
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 36)
    assert decode(data).width == 48


@pytest.mark.parametrize("side", [10_001, 14_000, 15_000, 50_000])
def test_a_decompression_bomb_of_any_size_is_refused(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    with pytest.raises(DecodeError, match="limit of 100000000 pixels"):
        decode(data)


@pytest.mark.parametrize("shape", [(15, 40), (40, 15), (1, 1)])
def test_an_image_too_small_for_a_face_is_refused(shape):
    with pytest.raises(DecodeError, match="has a side below 16 pixels"):
        decode(of("PNG", np.zeros((*shape, 3), np.uint8)))
    assert decode(of("PNG", np.zeros((16, 16, 3), np.uint8))).width == 16


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_cut_at_any_byte_is_refused_or_has_all_its_pixels(form):
    data = of(form)
    whole = decode(data).pixels
    refused = 0
    for length in range(0, len(data), 7):
        try:
            pixels = decode(data[:length]).pixels
        except DecodeError:
            refused += 1
        else:
            # Only what follows the last pixel may be missing.
            assert np.array_equal(pixels, whole), f"half an image of {length} bytes"
            assert length > len(data) / 2
    assert refused > 0.8 * len(range(0, len(data), 7))


def test_a_progressive_jpeg_that_is_cut_is_refused():
    data = of("JPEG", FACE, progressive=True)
    for share in (0.4, 0.6, 0.8, 0.95):
        with pytest.raises(DecodeError):
            decode(data[: int(len(data) * share)])


_WITH_EXIF = {
    form: of(form, np.ascontiguousarray(FACE[:36]), exif=exif(6))
    for form in ("JPEG", "PNG", "WEBP", "TIFF")
}

_SEEDS = {
    **{f"{form} with EXIF": data for form, data in _WITH_EXIF.items()},
    **{form: of(form) for form in FORMATS},
    "palette": saved(Image.fromarray(OBLONG).quantize(16), "PNG"),
    "LZW": of("TIFF", compression="tiff_lzw"),
    "EXIF": broken.exif_rotated(FACE, 6),
    "animation": saved(
        Image.fromarray(FACE), "GIF", save_all=True, append_images=[Image.fromarray(FACE[::-1])]
    ),
}


@pytest.mark.slow
@given(st.sampled_from(sorted(_SEEDS)), st.data())
@settings(deadline=None, max_examples=400)
def test_damage_of_any_kind_raises_only_a_decode_error(name, draw):
    data = bytearray(_SEEDS[name])
    for _ in range(draw.draw(st.integers(1, 4))):
        # Headers are short, and where most decoders fail.
        limit = draw.draw(st.sampled_from([64, 256, len(data)]))
        data[draw.draw(st.integers(0, min(limit, len(data)) - 1))] = draw.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(data))
    except DecodeError as error:
        reason = str(error)
    else:
        reason = "fine"
        assert decoded.pixels.shape == (decoded.height, decoded.width, 3)
        assert decoded.pixels.dtype == np.uint8
    assert reason
    assert "\n" not in reason
    assert len(reason) < 260


@pytest.mark.slow
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_damaged_exif_leaves_the_image_complete(form):
    data = _WITH_EXIF[form]
    tags = exif(6)
    if form == "PNG":
        # Behind the EXIF chunk's length and name; its checksum follows.
        start = data.index(b"eXIf") + 4
        length = int.from_bytes(data[start - 8 : start - 4], "big")
    else:
        start, length = data.index(tags[6:]), len(tags) - 6
    turned, as_it_lies = (36, 48), (48, 36)
    for position in range(start, start + length):
        for value in (0x00, 0x02, 0x7F, 0xFF):
            damaged = bytearray(data)
            damaged[position] = value
            if form == "PNG":
                chunk = damaged[start - 4 : start + length]
                damaged[start + length : start + length + 4] = struct.pack(">I", zlib.crc32(chunk))
            decoded = decode(bytes(damaged))
            assert (decoded.width, decoded.height) in (turned, as_it_lies)


def _grey() -> np.ndarray:
    return cv2.cvtColor(OBLONG, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_grey_samples_of_16_bits_keep_their_high_byte(form):
    grey = _grey()
    samples = grey.astype(np.uint16) * 256 + 37
    pixels = decode(saved(Image.fromarray(samples), form)).pixels
    assert np.abs(pixels.astype(int) - grey[:, :, None]).max() <= 1
    assert 0 < pixels.min() + 20 < pixels.max()


def test_color_samples_of_16_bits_keep_their_high_byte():
    samples = np.ascontiguousarray(OBLONG[:, :, ::-1]).astype(np.uint16) * 257
    pixels = decode(cv2.imencode(".png", samples)[1].tobytes()).pixels
    assert np.array_equal(pixels, OBLONG)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_samples_of_unknown_scale_are_refused(mode):
    # 0 to 1 or 0 to 4 billion: no file says which value is white, and a guess gives black crops.
    image = Image.fromarray(_grey()).convert(mode)
    with pytest.raises(DecodeError, match="samples"):
        decode(saved(image, "TIFF"))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode):
    image = Image.fromarray(OBLONG).convert(mode)
    pixels = decode(saved(image, "TIFF" if mode == "CMYK" else "PNG")).pixels
    expected = np.asarray(image.convert("RGB"))
    assert pixels.shape == (36, 48, 3)
    assert np.abs(pixels.astype(int) - expected).mean() < 2


def test_a_cmyk_jpeg_is_not_a_negative():
    pixels = decode(broken.cmyk(FACE)).pixels
    assert np.abs(pixels.astype(int) - FACE).mean() < 10


def test_alpha_is_composited_over_black():
    image = np.dstack([OBLONG, np.full(OBLONG.shape[:2], 128, np.uint8)])
    image[:18, :, 3] = 0
    image[:9, :, 3] = 255
    expected = OBLONG.astype(float) * image[:, :, 3:] / 255
    for form in ("PNG", "WEBP", "TIFF"):
        pixels = decode(saved(Image.fromarray(image), form, **_EXACT.get(form, {}))).pixels
        assert np.abs(pixels - expected).max() <= 1


_EXACT = {"WEBP": {"exact": True}}


def test_a_transparent_palette_color_is_composited_over_black():
    image = Image.fromarray(OBLONG).quantize(8)
    transparent = image.getpixel((24, 18))
    pixels = decode(saved(image, "PNG", transparency=transparent)).pixels
    clear = np.asarray(image) == transparent
    assert not pixels[clear].any()
    assert np.array_equal(pixels[~clear], np.asarray(image.convert("RGB"))[~clear])


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_decoded(form):
    first, second = Image.fromarray(OBLONG), Image.fromarray(255 - OBLONG)
    pixels = decode(saved(first, form, save_all=True, append_images=[second])).pixels
    assert np.abs(pixels.astype(int) - OBLONG).mean() < 10


def test_the_format_does_not_depend_on_the_name():
    assert np.array_equal(decode(broken.png(OBLONG)).pixels, OBLONG)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2, "4:1:1"])
@pytest.mark.parametrize("size", [(16, 16), (31, 40), (250, 113)])
def test_a_plain_jpeg_has_the_pixels_that_pillow_gives(size, subsampling, progressive):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(
        stream, "JPEG", quality=80, subsampling=subsampling, progressive=progressive
    )
    with Image.open(stream) as image:
        expected = np.asarray(image)
    assert np.array_equal(decode(stream.getvalue()).pixels, expected)


def test_a_jpeg_truncated_anywhere_in_its_image_data_is_rejected():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    data = stream.getvalue()
    for length in range(data.index(b"\xff\xda"), len(data) - 2, 97):
        with pytest.raises(DecodeError):
            decode(data[:length])


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw"])
def test_libtiff_writes_nothing_about_a_damaged_file(compression, capfd):
    prepare_process()
    image = Image.fromarray(FACE)
    if compression != "tiff_lzw":
        image = image.convert("1")
    data = bytearray(saved(image, "TIFF", compression=compression))
    middle = len(data) // 2 if compression == "tiff_lzw" else 20
    data[middle : middle + 40] = bytes(range(7, 47))
    # Faxes have no checksum, so of them a part may be shown.
    with contextlib.suppress(DecodeError):
        decode(bytes(data))
    assert capfd.readouterr().err == ""


def bmp_of_32_bits(pixels: np.ndarray, alpha: int, alpha_mask: int) -> bytes:
    """With a header of version 4, whose masks say where each channel is."""
    height, width, _ = pixels.shape
    layers = np.dstack([pixels[::-1, :, ::-1], np.full((height, width), alpha, np.uint8)])
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, alpha_mask)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, layers.size, 0, 0, 0, 0)
    header += masks + b"BGRs" + bytes(48)
    start = 14 + len(header)
    return struct.pack("<2sIII", b"BM", start + layers.size, 0, start) + header + layers.tobytes()


@pytest.mark.parametrize("alpha_mask", [0, 0xFF000000])
@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bmp_of_32_bits_shows_its_colors_whatever_its_unused_alpha(alpha, alpha_mask):
    assert np.array_equal(decode(bmp_of_32_bits(OBLONG, alpha, alpha_mask)).pixels, OBLONG)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "BMP"])
def test_alpha_that_is_unused_does_not_blacken_an_image(form, value):
    layers = np.dstack([OBLONG, np.full(OBLONG.shape[:2], value, np.uint8)])
    data = saved(Image.fromarray(layers), form, **_EXACT.get(form, {}))
    assert np.array_equal(decode(data).pixels, OBLONG)


def test_a_grey_image_with_unused_alpha_keeps_its_samples():
    layers = np.dstack([_grey(), np.zeros(OBLONG.shape[:2], np.uint8)])
    pixels = decode(saved(Image.fromarray(layers, "LA"), "PNG")).pixels
    assert np.array_equal(pixels[:, :, 0], _grey())


@pytest.mark.parametrize("color", [0, 255])
def test_an_image_that_is_transparent_everywhere_and_flat_is_refused(color):
    layers = np.zeros((20, 20, 4), np.uint8)
    layers[:, :, :3] = color
    with pytest.raises(DecodeError, match="transparent everywhere") as caught:
        decode(saved(Image.fromarray(layers), "PNG"))
    assert caught.value.reason.code == "transparent_image"


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey", "CMYK", "EXIF", "filler"])
@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(kind, divisor, monkeypatch):
    image = Image.fromarray(render(1, 1, 1, 320)[:240])
    image = image.convert({"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB"))
    options = {"progressive": kind == "progressive"}
    if kind == "EXIF":
        options["exif"] = exif(6)
    data = saved(image, "JPEG", **options)
    if kind == "filler":
        data = data[:-2] + b"\x55" * 100 + data[-2:]
    full = decode(data)
    monkeypatch.setattr(module, "MAX_PIXELS", 320 * 240 // divisor**2)
    found = decode(data)
    assert (found.width, found.height, full.scale) == (full.width, full.height, 1)
    assert found.scale == divisor
    assert found.pixels.shape == (full.height // divisor, full.width // divisor, 3)
    small = cv2.resize(full.pixels, found.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - found.pixels).mean() < 4


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_large_jpeg_that_is_cut_is_refused_at_every_size(share, monkeypatch):
    data = of("JPEG", render(1, 1, 1, 320))
    monkeypatch.setattr(module, "MAX_PIXELS", 320 * 320 // 4)
    with pytest.raises(DecodeError, match="damaged"):
        decode(data[: int(len(data) * share)] + b"\xff\xd9")


def test_photos_of_the_largest_phones_are_below_the_limit():
    # 108 and 200 megapixels.
    for width, height in ((12_000, 9_000), (16_320, 12_240)):
        assert width * height <= module.MAX_JPEG_PIXELS
        assert width * height / module._shrinking(width, height) ** 2 <= module.MAX_PIXELS
