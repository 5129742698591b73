"""Decodes photos to RGB pixels, or gives the reason why not. Only this module opens photos."""

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
# For these formats Pillow gives 16-bit samples in 32 bits; for others 32-bit samples have no known
# scale.
_SIXTEEN_BITS_AS_I = ("PPM", "PNG")
# Color spaces of a JPEG, as simplejpeg names them; others depend on Adobe's segment.
_COMMON_COLORS = ("YCbCr", "Gray")
_EXIF_ORIENTATION = 0x0112
# How to bring an image upright, by the tag's value; other values are ignored.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Marker of a JPEG's segments for EXIF and XMP. It never occurs in entropy-coded data.
_APP1 = b"\xff\xe1"


class DecodeError(ReasonError):
    """The photo cannot be used; the message is the row's reason."""


@dataclass(frozen=True)
class Decoded:
    """The decoded image of one photo.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int


def decode(data: bytes) -> Decoded:
    """Decodes a photo to upright 8-bit RGB.

    The content decides the format, never the name. EXIF orientation is applied; if EXIF cannot be
    read, the image is not turned. Grey, palette, CMYK and 16-bit images are converted (16-bit
    samples keep their high byte); alpha is composited over black; of an animation the first frame
    is used. Samples of 32 bits, integer or floating, are refused: no file says which value is
    white.

    A JPEG is refused if libjpeg reports that image data are missing or damaged, even if the file
    has an end marker. Bytes behind the end, or between the segments of the header, are ignored.

    Args:
        data: the photo's bytes.

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
    """The pixels of a JPEG, or None if Pillow must convert its colors.

    The pixels are the same as Pillow's (both use libjpeg-turbo with its exact transform) and take
    about half of the time.

    Raises:
        DecodeError: image data are missing or damaged, or the size is refused.
    """
    try:
        pixels = _decode_common_colors(data)
    except DecodeError:
        raise
    except Exception:  # noqa: BLE001 - damage is checked below; Pillow may read the rest
        pixels = None
    if pixels is None:
        _check_complete(data)
        return None
    return _apply_exif_orientation(data, pixels) if _APP1 in data else pixels


def _decode_common_colors(data: bytes) -> np.ndarray | None:
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    _check_size(width, height)
    return simplejpeg.decode_jpeg(data) if colorspace in _COMMON_COLORS else None


def _check_complete(data: bytes) -> None:
    """Refuses a JPEG of which Pillow would read only a part.

    Raises:
        DecodeError: image data are missing or damaged, or the size is refused.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg.strip_metadata(data))
    except Exception:  # noqa: BLE001 - Pillow decides on what simplejpeg cannot read
        return
    _check_size(width, height)
    damage = jpeg.damage(data)
    if damage:
        raise DecodeError(ReasonCode.DAMAGED_IMAGE, f"damaged image: {damage}")


def _apply_exif_orientation(data: bytes, pixels: np.ndarray) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                turn = _exif_turn(image)
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the image
        return pixels
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def _any_format(data: bytes) -> np.ndarray:
    """The pixels of a photo, read by Pillow.

    Raises:
        DecodeError: Pillow cannot read it, or the samples have no known scale.
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
    # On damaged input Pillow's decoders raise errors of many types: OSError, SyntaxError,
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
    turn = _exif_turn(image)
    return image if turn is None else image.transpose(turn)


def _exif_turn(image: Image.Image) -> Image.Transpose | None:
    """Reads only the tag: `ImageOps.exif_transpose` also rewrites EXIF, which can fail."""
    try:
        return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION))
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the image
        return None


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode == "F" or (image.mode == "I" and image.format not in _SIXTEEN_BITS_AS_I):
        text = f"samples of mode {image.mode} have no known scale from black to white"
        raise DecodeError(ReasonCode.UNSUPPORTED_SAMPLES, text)
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow's `convert` clips such samples to 255; we keep the high byte instead.
        samples = np.asarray(image).astype(np.uint32)
        grey = np.minimum(samples >> 8, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        background = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(background, layer).convert("RGB"))
    return np.asarray(image.convert("RGB"))
