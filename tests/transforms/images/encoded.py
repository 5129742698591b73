"""Encoded images for tests: one face in every format."""

import io

import numpy as np
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render

FACE = render(1, 1, 1, 48)


# Not square, so that a turn is seen in the shape too; no two corners are alike.
OBLONG = np.ascontiguousarray(FACE[:36])


LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "WEBP")


FORMATS = (*LOSSLESS, "JPEG", "GIF")


def saved(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    if form == "WEBP":
        options.setdefault("lossless", True)
    if form == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    image.save(stream, form, **options)
    return stream.getvalue()


def of(form: str, pixels: np.ndarray = OBLONG, **options) -> bytes:
    return saved(Image.fromarray(pixels), form, **options)


def exif(orientation: int) -> bytes:
    """EXIF as a camera writes it, with values of several types and the block of its own."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "Maker of cameras"
    tags[0x011A] = 72.0
    tags.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x829A: 0.01, 0xA002: 48})
    tags.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.5)})
    return tags.tobytes()
