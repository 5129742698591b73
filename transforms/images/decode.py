"""Encoded bytes to RGB pixels, or a reason why not. Nothing else in the project opens an image."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from facemill.transforms.core.reasons import ReasonCode, ReasonError
from facemill.transforms.core.text import one_line
from facemill.transforms.images import jpeg
from facemill.transforms.images.limits import MAX_BYTES, MAX_PIXELS, MIN_SIDE

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# Of these Pillow gives 16-bit samples in 32 bits; elsewhere such samples may mean anything.
_SIXTEEN_BITS_AS_I = ("PPM", "PNG")
# Of a JPEG, as simplejpeg calls them; of others Adobe's marks must be read.
_KNOWN_COLORS = ("YCbCr", "Gray")
_EXIF_ORIENTATION = 0x0112
# What brings a picture upright; other values of the tag mean nothing.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Begins the segment of a JPEG in which EXIF and XMP lie. Data of the picture never hold it.
_APP1 = b"\xff\xe1"


class DecodeError(ReasonError):
    """The bytes are not an image that can be used; the message is the row's reason."""


@dataclass(frozen=True)
class Decoded:
    """Pixels of one image.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int


def decode(data: bytes) -> Decoded:
    """Decodes an image file to upright 8-bit RGB.

    The format is told by the content, never by the name. EXIF orientation is applied; where EXIF
    cannot be read, the picture stays as it lies. Grey, palette, CMYK and 16-bit images are
    converted (16-bit samples keep their high byte); alpha is laid over black; of an animation the
    first frame counts. Samples of 32 bits, whole or floating, are refused: no file says which value
    is white.

    A JPEG of which libjpeg says that data of the picture are missing or damaged is refused, also
    where it ends as it should. What lies behind its end does not count, nor what lies between the
    segments of its header.

    Args:
        data: the file's bytes.

    Raises:
        DecodeError: empty, too large, not an image, cut off or damaged.
    """
    if not data:
        raise DecodeError(ReasonCode.EMPTY_FILE, "empty file")
    if len(data) > MAX_BYTES:
        text = f"file of {len(data)} bytes is above the limit of {MAX_BYTES}"
        raise DecodeError(ReasonCode.FILE_TOO_LARGE, text)
    pixels = _jpeg(data) if data.startswith(jpeg.START) else None
    if pixels is None:
        pixels = _any_format(data)
    return Decoded(pixels, width=pixels.shape[1], height=pixels.shape[0])


def _jpeg(data: bytes) -> np.ndarray | None:
    """The pixels of a JPEG, or None if only Pillow can tell what its colors are.

    The same pixels as Pillow's (both are libjpeg-turbo with its exact transform) in about half of
    the time.

    Raises:
        DecodeError: part of the picture is missing or damaged, or it has a size that is refused.
    """
    try:
        pixels = _of_known_colors(data)
    except DecodeError:
        raise
    except Exception:  # noqa: BLE001 - of damage libjpeg warns; the rest Pillow may be able to do
        pixels = None
    if pixels is None:
        _check_whole(data)
        return None
    return _turned_by_exif(data, pixels) if _APP1 in data else pixels


def _of_known_colors(data: bytes) -> np.ndarray | None:
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    _check_size(width, height)
    return simplejpeg.decode_jpeg(data) if colorspace in _KNOWN_COLORS else None


def _check_whole(data: bytes) -> None:
    """Refuses a JPEG that Pillow would half-read.

    Raises:
        DecodeError: part of the picture is missing or damaged, or it has a size that is refused.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg.photo_only(data))
    except Exception:  # noqa: BLE001 - Pillow has the last word on what a decoder cannot do
        return
    _check_size(width, height)
    damage = jpeg.damage(data)
    if damage:
        raise DecodeError(ReasonCode.DAMAGED_IMAGE, f"damaged image: {damage}")


def _turned_by_exif(data: bytes, pixels: np.ndarray) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                turn = _turn(image)
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the picture
        return pixels
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def _any_format(data: bytes) -> np.ndarray:
    """The pixels of what Pillow can read.

    Raises:
        DecodeError: it cannot, or the samples have no known scale.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_size(*image.size)
                image.load()
                return _to_rgb(_upright(image))
    except DecodeError:
        raise
    except Image.DecompressionBombError:
        text = f"image has more than the limit of {MAX_PIXELS} pixels"
        raise DecodeError(ReasonCode.TOO_MANY_PIXELS, text) from None
    except Image.UnidentifiedImageError:
        raise DecodeError(ReasonCode.NOT_AN_IMAGE, "not an image of a known format") from None
    except MemoryError:
        raise DecodeError(ReasonCode.OUT_OF_MEMORY, "image does not fit in memory") from None
    # On damaged input Pillow's decoders raise whatever the damage leads to: OSError, SyntaxError,
    # struct.error, OverflowError, AttributeError... None of them may end a run.
    except Exception as error:  # noqa: BLE001
        raise DecodeError(ReasonCode.DAMAGED_IMAGE, f"damaged image: {one_line(error)}") from None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        text = f"image of {width}x{height} is above the limit of {MAX_PIXELS} pixels"
        raise DecodeError(ReasonCode.TOO_MANY_PIXELS, text)
    if min(width, height) < MIN_SIDE:
        text = f"image of {width}x{height} has a side below {MIN_SIDE} pixels"
        raise DecodeError(ReasonCode.TOO_SMALL, text)


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """By the tag alone: `ImageOps.exif_transpose` also writes EXIF anew, which can fail."""
    try:
        return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION))
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the picture
        return None


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode == "F" or (image.mode == "I" and image.format not in _SIXTEEN_BITS_AS_I):
        text = f"samples of mode {image.mode} have no known scale from black to white"
        raise DecodeError(ReasonCode.UNSUPPORTED_SAMPLES, text)
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips such samples to 255 in `convert`; the high byte is what 8 bits can hold.
        samples = np.asarray(image).astype(np.uint32)
        grey = np.minimum(samples >> 8, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(ground, layer).convert("RGB"))
    return np.asarray(image.convert("RGB"))
