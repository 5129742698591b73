"""HEIC and AVIF: which file is one, and the pixels of HEIC by pillow-heif, which is an extra."""

import numpy as np
from PIL import features

from facemill.transforms.core.reasons import ReasonCode, ReasonError

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
# Brands of the container, whatever codec is in it.
_ANY_CODEC = {b"mif1", b"msf1", b"mif2"}
_MOST_BRANDS = 64


class MissingDecoderError(ReasonError):
    """This installation cannot decode the format; the message names what to install."""


def container_of(data: bytes) -> str | None:
    """`HEIC`, `AVIF` or None, by the brands that the file states."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 8 + 4 * _MOST_BRANDS)
    # The word behind the first brand is its version.
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & (_HEIC_BRANDS | _ANY_CODEC) else None


def check_avif() -> None:
    """Checks that Pillow decodes AVIF.

    Raises:
        MissingDecoderError: it does not.
    """
    if not features.check("avif"):
        raise _missing("AVIF", "Pillow 11.3 or later with AVIF")


class HeicFile:
    """The main image of a HEIC file, decoded on demand.

    libheif applies the turns and cuts that the container states; viewers ignore the orientation in
    its EXIF, and so do we.

    Args:
        data: the file's bytes.

    Raises:
        MissingDecoderError: pillow-heif is not installed.
        Exception: of many types, for a damaged file.
    """

    def __init__(self, data: bytes) -> None:
        try:
            import pillow_heif
        except ImportError:
            raise _missing("HEIC", "facemill[heif]") from None
        self._file = pillow_heif.open_heif(data)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        width, height = self._file.size
        return int(width), int(height)

    def layers(self) -> np.ndarray:
        """Decodes to uint8 [height, width, 3 or 4], RGB with or without alpha."""
        image = self._file.to_pillow()
        return np.asarray(image.convert("RGBA" if "A" in image.mode.upper() else "RGB"))


def _missing(name: str, package: str) -> MissingDecoderError:
    text = f"{name} needs {package}, which is not installed"
    return MissingDecoderError(ReasonCode.UNSUPPORTED_FORMAT, text)
