"""Cropping, resizing and encoding the crops that training and serving read."""

import cv2
import numpy as np

# At 95 without chroma subsampling a re-encoding changes a sample by less than sensor noise does.
JPEG_QUALITY = 95
_JPEG = (
    cv2.IMWRITE_JPEG_QUALITY,
    JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


def crop_box(width: int, height: int, fraction: float, raised: float = 0.0) -> tuple[int, int, int]:
    """(left, top, side) of the centered square whose side is `fraction` of the shorter side.

    Args:
        width: pixels.
        height: pixels.
        fraction: in (0, 1].
        raised: share of the shorter side by which the square lies above the center, as far as the
            image reaches; below it if negative.
    """
    shorter = min(width, height)
    side = max(1, round(shorter * fraction))
    top = (height - side) // 2 - round(shorter * raised)
    return (width - side) // 2, min(max(0, top), height - side), side


def center_square(
    pixels: np.ndarray, size: int, fraction: float, raised: float = 0.0
) -> np.ndarray:
    """The centered square, resized by area averaging.

    Args:
        pixels: uint8 [height, width, 3].
        size: side of the result in pixels.
        fraction: of the shorter side that is kept, in (0, 1].
        raised: see `crop_box`.

    Returns:
        uint8 [size, size, 3]. The pixels are unchanged if the size already fits.
    """
    left, top, side = crop_box(pixels.shape[1], pixels.shape[0], fraction, raised)
    return resize_to_square(pixels[top : top + side, left : left + side], size)


def resize_to_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The whole image resized to a square, whatever its proportions, by area averaging.

    Args:
        pixels: uint8 [height, width, 3].
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3]. The pixels are unchanged if the size already fits.
    """
    if pixels.shape[:2] == (size, size):
        return np.ascontiguousarray(pixels)
    # Area averaging is for shrinking; it repeats pixels when it enlarges.
    method = cv2.INTER_AREA if min(pixels.shape[:2]) > size else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size, size), interpolation=method)


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """JPEG of uint8 [height, width, 3] RGB, quality 95, full chroma."""
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()
