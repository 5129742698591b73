"""Perceptual hashes of possible crops (windows) and of the mirror image of an image.

A cropped copy of B hashes like one of B's windows, so it is found by looking up the window hashes
of every image among the plain hashes of all images. Windows are not cut out and resized: the DCT
over a part of a side is the image times cosines that span only that part.
"""

import numpy as np

from facemill.transforms.images import perceptual_hash

# Up to this share of each side may be missing from a crop, however it is split between both ends.
MAX_CROP = 0.1
# Ends of windows lie on a grid of three cells over that share, so the end of a crop is at most a
# sixtieth of the side away from the end of a window, which changes about 10 of 128 bits.
_CELLS = 3


def _windows() -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Parts of a side, and the windows as (horizontal, vertical) indices of such parts."""
    cell = MAX_CROP / _CELLS
    spans = [
        (before, after)
        for before in range(_CELLS)
        for after in range(_CELLS)
        if before + after < _CELLS
    ]
    parts = [(cell * (before + 0.5), 1 - cell * (after + 0.5)) for before, after in spans]
    # A crop keeps the proportions of the image, or nearly.
    windows = [
        (x, y)
        for x in range(len(parts))
        for y in range(len(parts))
        if sum(spans[x]) == sum(spans[y])
    ]
    return parts, windows


_PARTS, _PAIRS = _windows()
_HORIZONTAL, _VERTICAL = np.array(_PAIRS).T
_BASIS = np.concatenate([perceptual_hash.cosines(*part) for part in _PARTS])
_ROWS = _VERTICAL[:, None] * perceptual_hash.FREQUENCIES + perceptual_hash.VERTICAL
_COLUMNS = _HORIZONTAL[:, None] * perceptual_hash.FREQUENCIES + perceptual_hash.HORIZONTAL
_ODD = np.packbits(perceptual_hash.HORIZONTAL % 2 == 1)

WINDOWS = len(_PAIRS)
MIRROR = WINDOWS + 1
VARIANT_BYTES = WINDOWS * perceptual_hash.HASH_BYTES
# For each variant (plain, windows, mirror): left, top, right, bottom as shares of the sides.
FRAMES = np.array(
    [(0.0, 0.0, 1.0, 1.0)]
    + [(_PARTS[x][0], _PARTS[y][0], _PARTS[x][1], _PARTS[y][1]) for x, y in _PAIRS]
    + [(0.0, 0.0, 1.0, 1.0)]
)


def window_hashes(pixels: np.ndarray) -> bytes:
    """Hashes of the windows of an image, in the order of `FRAMES[1:-1]`.

    Args:
        pixels: uint8 [height, width, 3], RGB, or `perceptual_hash.small` of them.

    Returns:
        `VARIANT_BYTES` bytes.
    """
    spectra = _BASIS @ perceptual_hash.levels(pixels) @ _BASIS.T
    return perceptual_hash.signs(spectra[_ROWS, _COLUMNS]).tobytes()


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """Hashes of mirror images, from the hashes of the images: uint8 [..., 16] of the same.

    Mirroring changes the sign of the odd horizontal frequencies, so pixels are not needed. Bits of
    coefficients near zero may be wrong.
    """
    return hashes ^ _ODD


def queries(hashes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The hashes that `banding.cross_pairs` looks up: each image's windows, then its mirror image.

    Args:
        hashes: uint8 [N, 16].
        windows: uint8 [N, VARIANT_BYTES], from `window_hashes`.

    Returns:
        uint8 [N, WINDOWS + 1, 16].
    """
    shaped = windows.reshape(len(hashes), WINDOWS, perceptual_hash.HASH_BYTES)
    return np.concatenate([shaped, mirrored(hashes)[:, None]], axis=1)
