"""Decodes photos to RGB pixels, or gives the reason why not. Only this module opens photos."""

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from facemill.transforms.core.reasons import ReasonCode, ReasonError
from facemill.transforms.core.text import one_line
from facemill.transforms.images import heif, jpeg, png
from facemill.transforms.images.limits import MAX_BYTES, MAX_JPEG_PIXELS, MAX_PIXELS, MIN_SIDE
from facemill.transforms.images.samples import bits_in_use, to_bytes

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# For these formats Pillow gives 16-bit samples in 32 bits; for others 32-bit samples have no known
# scale.
_SIXTEEN_BITS_AS_I = ("PPM", "PNG")
# Color spaces of a JPEG, as simplejpeg names them; others depend on Adobe's segment.
_COMMON_COLORS = ("YCbCr", "Gray")
_EXIF_ORIENTATION = 0x0112
# Where Pillow keeps what it takes for EXIF, and viewers do not: XMP, and a text of ImageMagick's.
_NO_EXIF = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")
# Tags of a TIFF.
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _WHITE_IS_ZERO = 258, 262, 281, 0
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
_SIDES_CHANGE = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
# High bytes below it may be of samples of up to 14 bits.
_DARK = 64
# Marker of a JPEG's segments for EXIF and XMP. It never occurs in entropy-coded data.
_APP1 = b"\xff\xe1"


class DecodeError(ReasonError):
    """The photo cannot be used; the message is the row's reason."""


@dataclass(frozen=True)
class Decoded:
    """The decoded image of one photo.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright. Of a JPEG above `limits.MAX_PIXELS` a half,
            a quarter or an eighth of the height and width.
        width: of the upright photo, in pixels.
        height: of the upright photo, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Pixels of the photo for each decoded pixel, 1 or more."""
        return self.width / self.pixels.shape[1]


def decode(data: bytes) -> Decoded:
    """Decodes a photo to upright 8-bit RGB: the pixels that viewers show, or a reason.

    The content decides the format, never the name. EXIF orientation is applied; if EXIF cannot be
    read, the image is not turned, and nothing but EXIF (or a HEIC's own container) turns it. Grey,
    palette, CMYK and 16-bit images are converted. Samples of 16 bits keep the high byte of the bits
    in use, see `samples.bits_in_use`. Alpha is composited over black, and ignored if it is 0 or 1
    of 255 everywhere: such an alpha is unused. Of an animation the first frame is used. Samples of
    32 bits, integer or floating, are refused: no file says which value is white.

    A JPEG is refused if libjpeg reports that image data are missing or damaged, even if the file
    has an end marker. Bytes behind the end, filler before it, and bytes between the segments of the
    header are ignored, and so is what does not decide the pixels of a PNG, damaged or not.

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
    return (_jpeg(data) if data.startswith(jpeg.START) else None) or _any_format(data)


def _jpeg(data: bytes) -> Decoded | None:
    """A JPEG, or None if Pillow must convert its colors.

    The pixels are the same as Pillow's (both use libjpeg-turbo with its exact transform) and take
    about half of the time.

    Raises:
        DecodeError: image data are missing or damaged, or the size is refused.
    """
    try:
        found = _decode_common_colors(data)
    except DecodeError:
        raise
    except Exception:  # noqa: BLE001 - damage is checked below; Pillow may read the rest
        found = None
    if found is None:
        _check_complete(data)
        return None
    pixels, size = found
    turn = _exif_turn_of_jpeg(data) if _APP1 in data else None
    return _upright(pixels, size, turn)


def _decode_common_colors(data: bytes) -> tuple[np.ndarray, tuple[int, int]] | None:
    """The pixels, and the photo's width and height."""
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    _check_size(width, height, MAX_JPEG_PIXELS)
    if colorspace not in _COMMON_COLORS:
        return None
    pixels = simplejpeg.decode_jpeg(data, **jpeg.smaller(width, height, _shrinking(width, height)))
    return pixels, (width, height)


def _shrinking(width: int, height: int) -> int:
    """The least of libjpeg's divisors by which a photo gets no more than `MAX_PIXELS` pixels."""
    fits = (one for one in (1, 2, 4) if width * height <= MAX_PIXELS * one * one)
    return next(fits, 8)


def _check_complete(data: bytes) -> None:
    """Refuses a JPEG of which Pillow would read only a part.

    Raises:
        DecodeError: image data are missing or damaged, or the size is refused.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg.strip_metadata(data))
    except Exception:  # noqa: BLE001 - Pillow decides on what simplejpeg cannot read
        return
    _check_size(width, height, MAX_JPEG_PIXELS)
    damage = jpeg.damage(data, **jpeg.smaller(width, height, _shrinking(width, height)))
    if damage:
        raise DecodeError(ReasonCode.DAMAGED_IMAGE, f"damaged image: {damage}")


def _exif_turn_of_jpeg(data: bytes) -> Image.Transpose | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                return _exif_turn(image)
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the image
        return None


def _any_format(data: bytes) -> Decoded:
    """A photo, read by Pillow, or by pillow-heif.

    Raises:
        DecodeError: it cannot be read, or the samples have no known scale.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            container = heif.container_of(data)
            if container == "HEIC":
                return _heic(data)
            if container == "AVIF":
                heif.check_avif()
                return _by_pillow(data, ("AVIF",))
            return _by_pillow(data, _FORMATS)
    except DecodeError:
        raise
    except heif.MissingDecoderError as error:
        raise DecodeError(error.reason.code, error.reason) from None
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


def _heic(data: bytes) -> Decoded:
    file = heif.HeicFile(data)
    _check_size(*file.size, MAX_PIXELS)
    return _upright(_over_black(file.layers()), file.size, None)


def _by_pillow(data: bytes, formats: tuple[str, ...]) -> Decoded:
    if data.startswith(png.START):
        data = png.strip_ancillary(original := data)
    else:
        original = data
    with Image.open(io.BytesIO(data), formats=formats) as image:
        _ignore_other_than_exif(image)
        size = image.size
        shrinks = image.format in ("JPEG", "MPO")
        _check_size(*size, MAX_JPEG_PIXELS if shrinks else MAX_PIXELS)
        if shrinks and (divisor := _shrinking(*size)) > 1:
            image.draft(image.mode, (size[0] // divisor, size[1] // divisor))
        wide = _wide_samples(image, original)
        image.load()
        _ignore_other_than_exif(image)
        turn = _exif_turn(image)
        return _upright(_to_rgb(image, wide, original), size, turn)


@dataclass(frozen=True)
class _Wide:
    """Samples of more than 8 bits, as the file describes them.

    Attributes:
        bits: that the file states, or None.
        scaled: whether Pillow has scaled them to 16 bits by the file's own statement.
        inverted: whether white is 0.
    """

    bits: int | None = None
    scaled: bool = False
    inverted: bool = False


def _wide_samples(image: Image.Image, data: bytes) -> _Wide | None:
    """How to read samples of more than 8 bits, or None for others; before the image is loaded."""
    if image.format == "PNG":
        return _Wide(png.significant_bits(data)) if png.bit_depth(data) == 16 else None
    if image.format == "PPM":
        # Pillow scales by the largest value, which the header has, unless that is 65535 already.
        tiles = getattr(image, "tile", None)
        arguments = tiles[0][3] if tiles else None
        return _Wide(scaled=isinstance(arguments, tuple) and arguments[-1] != 65535)
    tags = getattr(image, "tag_v2", None)
    if tags is None or max(tags.get(_BITS, (1,))) <= 8:
        return None
    bits = max(tags.get(_BITS, (16,)))
    stated = [*np.ravel(tags.get(_MAX_SAMPLE, ()))]
    if bits == 16:
        bits = int(max(stated)).bit_length() if stated else None
    return _Wide(bits, inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _check_size(width: int, height: int, limit: int) -> None:
    if width * height > limit:
        text = f"image of {width}x{height} is above the limit of {limit} pixels"
        raise DecodeError(ReasonCode.TOO_MANY_PIXELS, text)
    if min(width, height) < MIN_SIDE:
        text = f"image of {width}x{height} has a side below {MIN_SIDE} pixels"
        raise DecodeError(ReasonCode.TOO_SMALL, text)


def _upright(pixels: np.ndarray, size: tuple[int, int], turn: Image.Transpose | None) -> Decoded:
    """Turns pixels.

    Args:
        pixels: uint8 [height, width, 3].
        size: width and height of the photo, before it is turned.
        turn: how, or None.
    """
    width, height = size
    if turn is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn))
        if turn in _SIDES_CHANGE:
            width, height = height, width
    return Decoded(pixels, width=width, height=height)


def _ignore_other_than_exif(image: Image.Image) -> None:
    """Removes what Pillow would read an orientation from; some of it is loaded with the pixels."""
    for name in _NO_EXIF:
        image.info.pop(name, None)


def _exif_turn(image: Image.Image) -> Image.Transpose | None:
    """Reads only the tag: `ImageOps.exif_transpose` also rewrites EXIF, which can fail."""
    try:
        _ignore_other_than_exif(image)
        return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION))
    except Exception:  # noqa: BLE001 - damage to EXIF is no damage to the image
        return None


def _to_rgb(image: Image.Image, wide: _Wide | None, data: bytes) -> np.ndarray:
    if image.mode == "F" or (image.mode == "I" and image.format not in _SIXTEEN_BITS_AS_I):
        text = f"samples of mode {image.mode} have no known scale from black to white"
        raise DecodeError(ReasonCode.UNSUPPORTED_SAMPLES, text)
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow's `convert` clips such samples to 255; we keep the high byte instead.
        samples = np.asarray(image).astype(np.uint32)
        grey = _grey_bytes(samples, wide or _Wide())
        return np.repeat(grey[:, :, None], 3, axis=2)
    if wide is not None and not wide.scaled:
        # Pillow gives high bytes. Only if they are almost black, the low ones matter.
        layers = np.asarray(image.convert("RGBA" if _has_alpha(image) else "RGB"))
        if layers[:, :, :3].max() < _DARK:
            layers = _color_bytes(data, layers, wide)
        return _over_black(layers)
    if image.mode == "RGB":
        return np.asarray(image)
    return _over_black(np.asarray(image.convert("RGBA" if _has_alpha(image) else "RGB")))


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.mode.upper() or "transparency" in image.info


def _grey_bytes(samples: np.ndarray, wide: _Wide) -> np.ndarray:
    bits = 16 if wide.scaled else bits_in_use(int(samples.max()), wide.bits)
    grey = to_bytes(samples, bits)
    return 255 - grey if wide.inverted else grey


def _color_bytes(data: bytes, high: np.ndarray, wide: _Wide) -> np.ndarray:
    """The bits in use of color samples of 16 bits, which Pillow does not give.

    Args:
        data: the file's bytes.
        high: uint8 [height, width, 3 or 4], the high bytes as Pillow gives them.
        wide: how the file describes them.

    Returns:
        uint8, of the same shape.
    """
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.shape != high.shape:
        return high
    color = samples[:, :, 2::-1]
    low = to_bytes(color, bits_in_use(int(color.max()), wide.bits))
    if high.shape[2] == 3:
        return np.ascontiguousarray(low)
    alpha = samples[:, :, 3:]
    return np.dstack([low, to_bytes(alpha, bits_in_use(int(alpha.max()), wide.bits))])


def _over_black(layers: np.ndarray) -> np.ndarray:
    """Composites over black.

    Args:
        layers: uint8 [height, width, 3 or 4], RGB with or without alpha.

    Raises:
        DecodeError: the image is transparent everywhere and has no colors below.
    """
    if layers.shape[2] == 3:
        return layers
    color = np.ascontiguousarray(layers[:, :, :3])
    # Alpha that is 0 everywhere is a field that the writer did not fill, and 1 of 255 a mask of
    # zeros and ones.
    if layers[:, :, 3].max() <= 1:
        if (color == color[0, 0]).all():
            text = "image is transparent everywhere, and shows nothing"
            raise DecodeError(ReasonCode.TRANSPARENT_IMAGE, text)
        return color
    if layers[:, :, 3].min() == 255:
        return color
    layer = Image.fromarray(layers)
    background = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(background, layer).convert("RGB"))
