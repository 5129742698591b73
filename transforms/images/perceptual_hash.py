"""Fingerprints of duplicates: a DCT hash finds candidates, a thumbnail confirms them.

The hash follows Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010,
section 3.2.1), but takes the signs of the 128 lowest frequencies: 64 bits are too few for faces,
which all look alike at that size, and higher frequencies are the first to change in a copy.
docs/duplicates.md has the figures behind both choices.
"""

import hashlib

import cv2
import numpy as np

HASH_BITS = 128
HASH_BYTES = HASH_BITS // 8
# The hash is searched in bands of 16 bits; `_order` distributes the bits over the bands.
BANDS = 8
SMALL_SIDE = 64

# With integers as cosines every sum below stays under 2^53, so float64 holds it exactly in whatever
# order a BLAS adds: the hash of an image is the same on every processor.
COSINE_SCALE = 4096
# A coefficient of this size is 0.02 grey levels of amplitude: flat images hash to zeros instead
# of to the signs of their noise.
_NOISE = 16 * COSINE_SCALE**2


def _order() -> tuple[np.ndarray, np.ndarray]:
    """(vertical, horizontal) frequencies of the bits: int64 [128] each.

    The lowest 128 by radius, without the zeroth, are dealt to the bands like cards, each round
    starting one band further. So each band of 16 neighboring bits has low frequencies, which are
    the most robust, and high ones, which distinguish better.
    """
    vertical, horizontal = np.mgrid[:HASH_BITS, :HASH_BITS].reshape(2, -1)
    lowest = np.lexsort((vertical, vertical**2 + horizontal**2))[1 : HASH_BITS + 1]
    rounds = lowest.reshape(-1, BANDS)
    dealt = np.stack([np.roll(one, start) for start, one in enumerate(rounds)]).T.ravel()
    return vertical[dealt], horizontal[dealt]


VERTICAL, HORIZONTAL = _order()
FREQUENCIES = 1 + int(max(VERTICAL.max(), HORIZONTAL.max()))


def cosines(start: float, end: float) -> np.ndarray:
    """DCT basis of the part [start, end] of a side, from the samples of the whole side.

    Args:
        start: in [0, 1).
        end: in (start, 1].

    Returns:
        float64 [FREQUENCIES, 64] of whole numbers, zero outside the part. Each row but the zeroth
        adds up to zero, or nearly so where the part cuts through samples.
    """
    edges = np.arange(SMALL_SIDE + 1) / SMALL_SIDE
    inside = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0, None)
    weights = inside / inside.sum() * SMALL_SIDE
    phase = ((edges[1:] + edges[:-1]) / 2 - start) / (end - start)
    rows = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * phase) * weights
    rows[1:] -= weights * (rows[1:].sum(axis=1, keepdims=True) / SMALL_SIDE)
    return np.round(rows * COSINE_SCALE)


_WHOLE = cosines(0.0, 1.0)


def pixel_sha256(pixels: np.ndarray) -> str:
    """Hex SHA-256 of the shape and samples of uint8 [height, width, 3]."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}\0".encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def small(pixels: np.ndarray) -> np.ndarray:
    """The image at 64x64, from which hashes and thumbnail are made; unchanged if it has that size.

    Sides are halved by bilinear sampling, which skips no pixels at a factor of at most two. From
    250 pixels it takes a third of the time of area averaging, and the hashes are as stable.

    Args:
        pixels: uint8 [height, width, 3].

    Returns:
        uint8 [64, 64, 3].
    """
    height, width = pixels.shape[:2]
    while height > 2 * SMALL_SIDE or width > 2 * SMALL_SIDE:
        height, width = _halved(height), _halved(width)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    if (height, width) == (SMALL_SIDE, SMALL_SIDE):
        return np.ascontiguousarray(pixels)
    return cv2.resize(pixels, (SMALL_SIDE, SMALL_SIDE), interpolation=cv2.INTER_LINEAR)


def dct_hash(pixels: np.ndarray) -> bytes:
    """128-bit perceptual hash of an image.

    The bits say which of the 128 lowest frequencies of the DCT of the grey 64x64 image (without the
    zeroth, the brightness) are positive.

    Args:
        pixels: uint8 [height, width, 3], RGB, or `small` of them.

    Returns:
        16 bytes.
    """
    spectrum = _WHOLE @ levels(pixels) @ _WHOLE.T
    return signs(spectrum[VERTICAL, HORIZONTAL]).tobytes()


def grey_thumbnail(pixels: np.ndarray) -> np.ndarray:
    """The grey thumbnail uint8 [64, 64] of an image, or of `small` of it."""
    return cv2.cvtColor(small(pixels), cv2.COLOR_RGB2GRAY)


def levels(pixels: np.ndarray) -> np.ndarray:
    """Integer grey levels minus their rounded mean: float64 [64, 64]."""
    return grey_levels(grey_thumbnail(pixels))


def grey_levels(thumbnail: np.ndarray) -> np.ndarray:
    """The same of a grey thumbnail uint8 [64, 64]."""
    grey = thumbnail.astype(np.float64)
    return grey - np.round(grey.mean())


def signs(coefficients: np.ndarray) -> np.ndarray:
    """Packed sign bits uint8 [..., 16] of coefficients float64 [..., 128]."""
    return np.packbits(coefficients > _NOISE, axis=-1)


def _halved(side: int) -> int:
    return side if side <= 2 * SMALL_SIDE else max(2 * SMALL_SIDE, (side + 1) // 2)
