"""What tells that two files show the same picture: a DCT hash to find, a thumbnail to confirm.

The hash is Zauner's (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010,
section 3.2.1), with 256 bits: 64 bits are too few for faces, which all look alike at that size.
"""

import hashlib

import cv2
import numpy as np

HASH_BITS = 256
THUMBNAIL_SIDE = 32

_DCT_SIDE = 64
_FREQUENCIES = 16


def pixel_sha256(pixels: np.ndarray) -> str:
    """Hex SHA-256 of the shape and samples of uint8 [height, width, 3]."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}\0".encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def dct_hash(pixels: np.ndarray) -> bytes:
    """256-bit perceptual hash of a picture.

    The grey image at 64x64 goes through a DCT; of its 16x16 lowest frequencies without the
    zeroth row and column (overall brightness and its falloff), a bit tells which are above their
    median.

    Args:
        pixels: uint8 [height, width, 3], RGB.

    Returns:
        32 bytes.
    """
    grey = cv2.cvtColor(_shrunk(pixels, _DCT_SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
    spectrum = cv2.dct(grey)[1 : 1 + _FREQUENCIES, 1 : 1 + _FREQUENCIES]
    return np.packbits(spectrum > np.median(spectrum)).tobytes()


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """uint8 [32, 32, 3] of the whole picture, by area averaging."""
    return _shrunk(pixels, THUMBNAIL_SIDE)


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Normalized correlation of thumbnails, pair by pair.

    Args:
        first: uint8 [N, 32, 32, 3].
        second: the same shape.

    Returns:
        float64 [N] in [-1, 1]. Two flat pictures have no texture to compare: 1 if they are of
        equal color, else 0.
    """
    count = len(first)
    a = first.reshape(count, -1).astype(np.float64)
    b = second.reshape(count, -1).astype(np.float64)
    equal = (a == b).all(axis=1)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    values = np.divide((a * b).sum(axis=1), norms, out=np.zeros(count), where=norms > 0)
    return np.where(equal, 1.0, values)


def _shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
