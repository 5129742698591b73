import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from facemill.transforms.images.decode import decode
from tests.transforms.images.encoded import OBLONG, exif, of, saved

# How `OBLONG` must be stored so that each EXIF orientation brings it upright.
_STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", _STORED)
def test_exif_orientation_is_applied_once(form, orientation):
    stored = Image.fromarray(np.ascontiguousarray(_STORED[orientation](OBLONG)))
    decoded = decode(saved(stored, form, exif=exif(orientation)))
    assert (decoded.width, decoded.height) == (48, 36)
    assert np.abs(decoded.pixels.astype(int) - OBLONG).mean() < 8


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_invalid_orientation_is_ignored(orientation):
    assert np.array_equal(decode(of("PNG", exif=exif(orientation))).pixels, OBLONG)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def with_xmp(form: str) -> bytes:
    if form == "GIF":
        return saved(Image.fromarray(OBLONG), form, xmp=XMP)
    if form == "TIFF":
        return of(form, tiffinfo={700: XMP})
    if form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode("ascii"))
        return of(form, pnginfo=texts)
    return of(form, xmp=XMP)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_only_exif_turns_an_image(form):
    data = with_xmp(form)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(0x0112) == 6, "the file has no orientation that Pillow sees"
    decoded = decode(data)
    assert (decoded.width, decoded.height) == (48, 36)
    assert np.abs(decoded.pixels.astype(int) - OBLONG).mean() < 8


def test_a_text_that_imitates_exif_turns_nothing():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", "\nexif\n  8\n" + exif(6).hex())
    assert np.array_equal(decode(of("PNG", pnginfo=texts)).pixels, OBLONG)
