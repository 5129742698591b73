"""Perceptual hashes of parts (windows) of an image, by which copies that are cut in different ways
are found.

Two copies of one photo, each cut in its own way, share a part of it, but in neither of them is that
part the whole image. So windows of one image are compared with windows of the other. Every image is
hashed in two sets of windows: few that lie far apart, in which it is found, and many that are near
each other and of different sizes, by which it asks for others. As with the giant and the small
steps of a discrete logarithm, the pairs of both sets cover shifts and stretches that would
otherwise take as many windows as there are pairs.

Windows are not cut out and resized: the DCT over a part of a side is the image times cosines that
span only that part.
"""

from collections.abc import Iterable

import numpy as np

from facemill.transforms.images import perceptual_hash

# Windows take that share of each side, since two cut copies share that much of each other.
_SHARE = 0.84
# Steps of the windows by which an image asks, and between those in which it is found, as shares of
# the side. Three of the former fit between two of the latter; together they reach 0.12.
_STEP, _LEAP = 0.027, 0.08
# Windows by which an image asks are that much larger or smaller in either direction.
_STRETCH = 1.08

_Part = tuple[float, float]
_Window = tuple[_Part, _Part]


def _part(shift: float, stretch: float) -> _Part:
    """The ends of a part of a side, whose middle lies at that distance from the side's middle."""
    half = _SHARE * stretch / 2
    return max(0.0, 0.5 + shift - half), min(1.0, 0.5 + shift + half)


def _asking() -> list[_Window]:
    shifts = (-_STEP, 0.0, _STEP)
    stretches = (1 / _STRETCH, 1.0, _STRETCH)
    # Copies keep the proportions of the photo, or nearly: not wider and lower in one.
    return [
        (_part(x, wide), _part(y, high))
        for x in shifts
        for y in shifts
        for wide in stretches
        for high in stretches
        if abs(stretches.index(wide) - stretches.index(high)) < 2
    ]


def _found() -> list[_Window]:
    # Each of two images asks for the other, so what lies higher in one lies lower in the other, and
    # one of both directions is enough.
    return [(_part(x, 1.0), _part(y, 1.0)) for x in (-_LEAP, 0.0, _LEAP) for y in (0.0, _LEAP)]


_ASKING, _FOUND = _asking(), _found()
_WINDOWS = _ASKING + _FOUND
_PARTS = sorted({part for window in _WINDOWS for part in window})
_BASIS = np.concatenate([perceptual_hash.cosines(*part) for part in _PARTS])


def _places(parts: Iterable[_Part], frequencies: np.ndarray) -> np.ndarray:
    """Where the coefficients of the windows' hashes lie among those of all parts: [W, 128]."""
    numbers = np.array([_PARTS.index(part) for part in parts])
    return numbers[:, None] * perceptual_hash.FREQUENCIES + frequencies


_ROWS = _places((y for _, y in _WINDOWS), perceptual_hash.VERTICAL)
_COLUMNS = _places((x for x, _ in _WINDOWS), perceptual_hash.HORIZONTAL)
_ODD = np.packbits(perceptual_hash.HORIZONTAL % 2 == 1)

ASKING, FOUND = len(_ASKING), len(_FOUND)
WINDOW_BYTES = (ASKING + FOUND) * perceptual_hash.HASH_BYTES


def _within(asking: _Part, found: _Part) -> _Part:
    """The ends of a side of which one part is what the other part is of another side."""
    scale = (asking[1] - asking[0]) / (found[1] - found[0])
    start = asking[0] - scale * found[0]
    return start, start + scale


def _frame(asking: _Window, found: _Window) -> tuple[float, float, float, float]:
    (left, right), (top, bottom) = (_within(*parts) for parts in zip(asking, found, strict=True))
    return left, top, right, bottom


def _frames() -> np.ndarray:
    mirrors = [((1 - x[1], 1 - x[0]), y) for x, y in _ASKING]
    pairs = [(asking, found) for asking in _ASKING + mirrors for found in _FOUND]
    return np.array([(0.0, 0.0, 1.0, 1.0)] + [_frame(*pair) for pair in pairs])


# For each variant, where the whole of the second image lies in the first, which is mirrored before
# that if MIRRORED is true: left, top, right, bottom as shares of the sides, which may lie outside.
# Variant 0 is the whole image; variant 1 + a * FOUND + f is window f of the second image as window
# a of the first, of `asking`.
FRAMES = _frames()
MIRRORED = np.arange(len(FRAMES)) > ASKING * FOUND


def window_hashes(pixels: np.ndarray) -> bytes:
    """Hashes of the windows of an image, see `asking` and `found`.

    Args:
        pixels: uint8 [height, width, 3], RGB, or `perceptual_hash.small` of them.

    Returns:
        `WINDOW_BYTES` bytes.
    """
    return _hashes(perceptual_hash.levels(pixels)).tobytes()


def thumbnail_windows(thumbnail: np.ndarray) -> np.ndarray:
    """The same of a grey thumbnail uint8 [64, 64]: uint8 [WINDOW_BYTES]."""
    return _hashes(perceptual_hash.grey_levels(thumbnail)).ravel()


def asking(windows: np.ndarray) -> np.ndarray:
    """The hashes by which images ask for others: uint8 [N, 2 * ASKING, 16].

    The second half are windows of the mirror images.

    Args:
        windows: uint8 [N, WINDOW_BYTES], from `window_hashes`.
    """
    hashes = _shaped(windows)[:, :ASKING]
    return np.concatenate([hashes, mirrored(hashes)], axis=1)


def found(windows: np.ndarray) -> np.ndarray:
    """The hashes by which images are found: uint8 [N, FOUND, 16].

    Args:
        windows: uint8 [N, WINDOW_BYTES], from `window_hashes`.
    """
    return _shaped(windows)[:, ASKING:]


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """Hashes of mirror images, from the hashes of the images: uint8 [..., 16] of the same.

    Mirroring changes the sign of the odd horizontal frequencies, so pixels are not needed. Bits of
    coefficients near zero may be wrong.
    """
    return hashes ^ _ODD


def nearest_variants(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """The variants of the first image that are most like the second, the nearest first: int64 [K].

    Args:
        first: uint8 [WINDOW_BYTES].
        second: the same.
        count: how many.
    """
    differing = asking(first[None])[0][:, None] ^ found(second[None])
    distances = np.bitwise_count(differing).sum(axis=2, dtype=np.int64).ravel()
    return np.argsort(distances, kind="stable")[:count] + 1


def _hashes(levels: np.ndarray) -> np.ndarray:
    spectra = _BASIS @ levels @ _BASIS.T
    return perceptual_hash.signs(spectra[_ROWS, _COLUMNS])


def _shaped(windows: np.ndarray) -> np.ndarray:
    return windows.reshape(len(windows), ASKING + FOUND, perceptual_hash.HASH_BYTES)
