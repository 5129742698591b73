import builtins
import io

import numpy as np
import pytest
from PIL import Image, features

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.images import decode as module
from facemill.transforms.images import heif
from facemill.transforms.images.decode import DecodeError, decode

FACE = np.ascontiguousarray(render(1, 1, 1, 96)[:72])


def turned() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags


def avif(**options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(FACE).save(stream, "AVIF", quality=95, **options)
    return stream.getvalue()


def heic(image: Image.Image | None = None, **options) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    file = pillow_heif.from_pillow(image or Image.fromarray(FACE))
    file.save(stream, quality=95, **options)
    return stream.getvalue()


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@needs_avif
def test_avif_is_decoded():
    found = decode(avif())
    assert (found.width, found.height) == (96, 72)
    assert np.abs(found.pixels.astype(int) - FACE).mean() < 5


@needs_avif
def test_avif_is_turned_upright_once():
    found = decode(avif(exif=turned()))
    assert (found.width, found.height) == (72, 96)
    assert np.abs(found.pixels.astype(int) - np.rot90(FACE, -1)).mean() < 5


@pytest.mark.parametrize("alpha", [False, True])
def test_heic_is_decoded(alpha):
    image = Image.fromarray(FACE)
    if alpha:
        image.putalpha(255)
    data = heic(image)
    assert heif.container_of(data) == "HEIC"
    found = decode(data)
    assert (found.width, found.height) == (96, 72)
    assert np.abs(found.pixels.astype(int) - FACE).mean() < 5


def test_the_orientation_in_the_exif_of_heic_is_applied_once():
    found = decode(heic(exif=turned().tobytes()))
    upright = np.rot90(FACE, -1) if found.width == 72 else FACE
    assert np.abs(found.pixels.astype(int) - upright).mean() < 5


@needs_avif
@pytest.mark.parametrize("make", [avif, heic])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_is_refused(make, share):
    data = make()
    with pytest.raises(DecodeError):
        decode(data[: int(len(data) * share)])


@needs_avif
@pytest.mark.parametrize("make", [avif, heic])
def test_the_size_is_checked_before_pixels_are_decoded(make, monkeypatch):
    data = make()
    monkeypatch.setattr(module, "MAX_PIXELS", 96 * 72 - 1)
    with pytest.raises(DecodeError, match="96x72 is above the limit of 6911 pixels"):
        decode(data)


def test_a_missing_decoder_is_named(monkeypatch):
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    real = builtins.__import__

    def without(name, *rest):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DecodeError, match=r"HEIC needs facemill\[heif\]") as caught:
        decode(data)
    assert caught.value.reason.code == "unsupported_format"
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(DecodeError, match="AVIF needs Pillow"):
        decode(data.replace(b"heic", b"avif"))


@pytest.mark.parametrize(
    ("brands", "container"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"avif\0\0\0\0mif1miaf", "AVIF"),
        (b"isom\0\0\0\0iso2mp41", None),
    ],
)
def test_brands_name_the_container(brands, container):
    header = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands
    assert heif.container_of(header + b"avifheic") == container
    assert heif.container_of(b"\xff\xd8" + bytes(20)) is None
