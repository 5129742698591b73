"""The bytes of broken files, which no decoder may accept, and of odd ones, which many get wrong."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import DEFAULT_QUALITY, encode_jpeg

BOMB_SIDE = 30_000
_ORIENTATION_TAG = 0x0112


def truncated(pixels: np.ndarray, quality: int = DEFAULT_QUALITY) -> bytes:
    """Returns the first half of the bytes of a JPEG of uint8 [height, width, 3] RGB pixels."""
    encoded = encode_jpeg(pixels, quality)
    return encoded[: len(encoded) // 2]


def not_an_image() -> bytes:
    """Returns what a crawler often saves under an image's name: a page that says it isn't there."""
    return b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>\n"


def zero_bytes() -> bytes:
    """Returns nothing."""
    return b""


@functools.cache
def bomb(side: int = BOMB_SIDE) -> bytes:
    """Returns a valid PNG of about 100 kB that unpacks to side x side black pixels.

    With 30,000 to the side a decoder that trusts it allocates 2.7 GB for RGB. It has one bit per
    pixel, which deflate packs at about 1,000 to 1.
    """
    row = bytes(1 + (side + 7) // 8)  # a filter byte, then eight pixels a byte
    packer = zlib.compressobj(9)
    rows = row * 100
    data = b"".join(packer.compress(rows) for _ in range(side // 100))
    data += packer.compress(row * (side % 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def png(pixels: np.ndarray) -> bytes:
    """Returns uint8 [height, width, 3] RGB pixels as a PNG (which `wrong-extension` calls .jpg)."""
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def cmyk(pixels: np.ndarray, quality: int = DEFAULT_QUALITY) -> bytes:
    """Returns uint8 [height, width, 3] RGB pixels as a JPEG with four ink channels."""
    return _saved(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=quality)


def sixteen_bit(pixels: np.ndarray) -> bytes:
    """Returns the brightness of uint8 [height, width, 3] RGB pixels as a gray PNG of 16 bits.

    A decoder that clips to 8 bits instead of scaling sees a white square.
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.imencode(".png", gray.astype(np.uint16) * 257)[1].tobytes()


def alpha(pixels: np.ndarray) -> bytes:
    """Returns uint8 [height, width, 3] RGB pixels as a PNG that fades out toward the corners."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    opacity = np.clip(255 * (2 - x**2 - y**2) / 1.2, 0, 255).astype(np.uint8)
    return _saved(Image.fromarray(np.dstack([pixels, opacity])), "PNG")


def exif_rotated(pixels: np.ndarray, orientation: int = 6, quality: int = DEFAULT_QUALITY) -> bytes:
    """Returns a JPEG that is stored turned, and upright once its EXIF orientation is applied.

    Args:
        pixels: uint8 [height, width, 3], RGB, upright.
        orientation: How to turn it to view it: 3 by 180 degrees, 6 by 90 clockwise, 8 by 90
            the other way.
        quality: 1 to 100.
    """
    quarters = {3: 2, 6: 1, 8: 3}[orientation]
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(pixels, quarters)))
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    return _saved(stored, "JPEG", quality=quality, exif=exif.tobytes())


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()
