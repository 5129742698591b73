"""Local evidence at few pixels: where two registered images differ most, without matching blurs.

At 64x64, the size of the thumbnails, this settles most pairs at little cost: sharp copies differ
nowhere, and most other photos clearly somewhere. At 24x24 it decides on copies that have no more
pixels than that: there the sharper image loses the detail that the other one lacks. The pairs
between are compared by `local_evidence`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

# Pixels outside these are ignored: a brighter or darker copy is clipped elsewhere, and the corners
# of an aligned photo are black. A corner takes at least this share of the image.
_DARK, _CLIPPED = 6, 250
_MIN_CORNER = 0.0005
# But where one image is clipped and the other, at the same brightness, would be darker by that many
# levels, they differ.
_TOO_DARK, _RESAMPLED = 60, 30
_KERNEL = np.ones((3, 3), np.uint8)
# Shares of the side between which the face lies: left, top, right, bottom.
FACE = (0.2, 0.25, 0.8, 0.875)
# The difference is the largest of: the 99th percentile over the face; that over the image times the
# first factor; the maximum over the face times the second. Copies differ more outside the face,
# at the edges of the black corners.
_IMAGE_SHARE, _PEAK_SHARE = 0.64, 0.5
_PERCENTILE = 99
# With a smaller share of usable pixels, the unusable ones are compared too.
MIN_COMPARABLE = 0.2
# How far the gain of a place may be from the gain of the image.
MAX_GAIN = 1.6
_IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
# Standard deviation, in pixels, of the blur that hides what resampling does.
_BLUR = 0.7


@dataclass(frozen=True, slots=True)
class Scale:
    """How images are compared at one size.

    Attributes:
        side: of the compared images, in pixels.
        window: side of the surroundings of a pixel, in pixels.
        smoothing: standard deviation, in pixels, by which differences are smoothed.
        floor_share: contrast that is added to that of a place, as a share of the image's. Noise in
            a flat place is no difference.
        floor_levels: the same in grey levels.
    """

    side: int
    window: int
    smoothing: float
    floor_share: float
    floor_levels: float = 4.0


THUMBNAILS = Scale(64, 13, 1.4, 0.1)
SMALL = Scale(24, 7, 0.7, 0.15)


def thumbnail_difference(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> float:
    """The largest local difference of two thumbnails, from 0 (equal) to 1.

    Args:
        first: uint8 [64, 64], grey, mirrored already if the pair is.
        second: uint8 [64, 64].
        affine: float32 [2, 3], from `registration.register`.
    """
    a, used = registered(first, second, affine)
    return coarse_difference(a, second.astype(np.float32), used, THUMBNAILS)


def registered(
    first: np.ndarray, second: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first image as the second frames it, and where both can be compared.

    Args:
        first: uint8 or float32 [S, S], grey.
        second: the same.
        affine: float32 [2, 3].

    Returns:
        (float32 [S, S], bool [S, S]).
    """
    a, usable_a = first.astype(np.float32), usable(first)
    if np.array_equal(affine, _IDENTITY):
        inside = np.ones(a.shape, bool)
    else:
        sampled, inside = sample(cv2.merge([a, usable_a]), affine)
        a, usable_a = cv2.split(sampled)
    used = inside & (usable_a > 0.99) & (usable(second) > 0)
    if used.mean() < MIN_COMPARABLE:
        return a, inside
    return a, used | (inside & _contradictions(a, second.astype(np.float32), used))


def _contradictions(a: np.ndarray, b: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Where in the face one of two registered images is clipped and the other far too dark for it.

    A brighter copy is clipped where its original is bright. White teeth beside a closed mouth are
    a difference. A white caption or border, which a copy may have, lies outside the face.

    Args:
        a: float32 [S, S].
        b: the same.
        used: bool [S, S], the pixels that are clipped in neither.

    Returns:
        bool [S, S], with the neighbors of such pixels.
    """
    # Resampling made clipped pixels at an edge a little darker.
    bright_a, bright_b = a >= _CLIPPED - _RESAMPLED, b >= _CLIPPED - _RESAMPLED
    left, top, right, bottom = (round(share * len(a)) for share in FACE)
    one_only = np.zeros(a.shape, bool)
    face = slice(top, bottom), slice(left, right)
    one_only[face] = (bright_a[face] != bright_b[face]) & ~used[face]
    if not one_only.any():
        return one_only
    mask = used.astype(np.uint8)
    (mean_a, spread_a), (mean_b, spread_b) = (
        (float(value[0, 0]) for value in cv2.meanStdDev(one, mask=mask)) for one in (a, b)
    )
    gain = max(spread_b, 1.0) / max(spread_a, 1.0)
    dim = (
        np.where(bright_a, (b - mean_b) / gain + mean_a, (a - mean_a) * gain + mean_b)
        < _CLIPPED - _TOO_DARK
    )
    corners, found = (
        cv2.dilate(one.astype(np.uint8), _KERNEL, borderType=cv2.BORDER_REPLICATE) > 0
        for one in (_corners(a) | _corners(b), one_only & dim)
    )
    return found & ~corners


def coarse_difference(a: np.ndarray, b: np.ndarray, used: np.ndarray, scale: Scale) -> float:
    """The largest local difference of two registered images at a scale, from 0 to 1.

    Args:
        a: float32 [S, S], grey.
        b: the same.
        used: bool [S, S], the pixels to compare.
        scale: see `Scale`; its side is at most S.
    """
    side = scale.side
    weights = used.astype(np.float32)
    if side != len(a):
        a, b, weights = (
            cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in (a, b, weights)
        )
        weights = (weights > 0.99).astype(np.float32)
    a, b = (cv2.GaussianBlur(one, (3, 3), _BLUR, borderType=cv2.BORDER_REPLICATE) for one in (a, b))
    floor = scale.floor_share, scale.floor_levels
    return largest(
        relative_difference(a, b, weights, scale.window, scale.smoothing, floor), weights
    )


def relative_difference(
    a: np.ndarray,
    b: np.ndarray,
    weights: np.ndarray,
    window: int,
    smoothing: float,
    floor: tuple[float, float],
) -> np.ndarray:
    """Differences over the contrast around each pixel, without local gain and offset: [S, S].

    Args:
        a: float32 [S, S].
        b: the same.
        weights: float32 [S, S], 1 for pixels to compare, else 0.
        window: see `Scale`.
        smoothing: see `Scale`.
        floor: `floor_share` and `floor_levels`, see `Scale`.
    """
    size = (window, window)
    layers = cv2.merge([weights, a * weights, b * weights])
    share, mean_a, mean_b = cv2.split(cv2.blur(layers, size, borderType=cv2.BORDER_REPLICATE))
    share = np.maximum(share, 1e-6)
    high_a, high_b = (a - mean_a / share) * weights, (b - mean_b / share) * weights
    products = cv2.merge([high_a * high_a, high_b * high_b, high_a * high_b])
    products = cv2.blur(products, size, borderType=cv2.BORDER_REPLICATE)
    spread_a, spread_b, shared = (layer / share for layer in cv2.split(products))
    # The filter adds and takes away by turns, so a flat place can be a little below zero.
    spread_a, spread_b = np.maximum(spread_a, 0), np.maximum(spread_b, 0)
    contrast = _deviation(b, weights)
    whole = contrast / (_deviation(a, weights) + 1e-3)
    # With little contrast the gain of the image is more certain than that of the place.
    gain = (shared + 4 * whole) / (spread_a + 4)
    gain = np.minimum(np.maximum(gain, whole / MAX_GAIN), whole * MAX_GAIN)
    rest = cv2.GaussianBlur(
        (high_b - gain * high_a) * weights, (0, 0), smoothing, borderType=cv2.BORDER_REPLICATE
    )
    # At the rim of what is comparable the surroundings are too few.
    rest = np.abs(rest) / (np.sqrt(spread_b) + (floor[0] * contrast + floor[1]))
    return np.where(share > 0.3, rest, 0)


def largest(difference: np.ndarray, weights: np.ndarray) -> float:
    """The largest difference, mostly of the face, from 0 to 1; 1 if nothing can be compared.

    Args:
        difference: float32 [S, S].
        weights: float32 [S, S], above 0 for pixels that were compared.
    """
    used = weights > 0
    left, top, right, bottom = (round(share * len(difference)) for share in FACE)
    everywhere = difference[used]
    face = difference[top:bottom, left:right][used[top:bottom, left:right]]
    if not len(everywhere):
        return 1.0
    found = _IMAGE_SHARE * _percentile(everywhere)
    if len(face):
        found = max(found, _percentile(face), _PEAK_SHARE * float(face.max()))
    return float(min(found, 1.0))


def _percentile(values: np.ndarray) -> float:
    """The 99th percentile, without interpolation."""
    place = (len(values) - 1) * _PERCENTILE // 100
    return float(np.partition(values, place)[place])


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    """Standard deviation of the values with weight 1, in float64."""
    return float(cv2.meanStdDev(values, mask=weights.astype(np.uint8))[1][0, 0])


def usable(image: np.ndarray) -> np.ndarray:
    """1 where a pixel and its neighbors are neither clipped nor in a black corner: float32 [S, S].

    Args:
        image: uint8 or float32 [S, S].
    """
    excluded = ((image >= _CLIPPED) | _corners(image)).astype(np.uint8)
    if not excluded.any():
        return np.ones(image.shape, np.float32)
    return 1 - cv2.dilate(excluded, _KERNEL, borderType=cv2.BORDER_REPLICATE).astype(np.float32)


def _corners(image: np.ndarray) -> np.ndarray:
    """Black areas at the border: bool [S, S]. Black eyes or hair belong to the picture."""
    dark = (image <= _DARK).astype(np.uint8)
    if not (dark[0].any() or dark[-1].any() or dark[:, 0].any() or dark[:, -1].any()):
        return np.zeros(image.shape, bool)
    _, areas, found, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
    left, top, width, height, area = found.T
    side = len(image)
    outer = (left == 0) | (top == 0) | (left + width == side) | (top + height == side)
    corners = outer & (area >= _MIN_CORNER * side * side)
    corners[0] = False
    return corners[areas]


def sample(layers: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Layers sampled through the map, and whether each point lies inside.

    Args:
        layers: float32 [S, S, C].
        affine: float32 [2, 3], from the sampled image to the layers, both as [-1, 1] both ways.

    Returns:
        (float32 [S, S, C], bool [S, S]).
    """
    side = layers.shape[0]
    first = 1 / side - 1
    pixels = affine.astype(np.float64).copy()
    pixels[:, 2] = (affine[:, 0] * first + affine[:, 1] * first + affine[:, 2] + 1) * side / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(
        layers, pixels, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    slack = 1e-3
    inside = np.ones((side, side), bool)
    steps = np.arange(side, dtype=np.float32)
    for across, down, start in pixels.astype(np.float32):
        along = (across * steps + start) + (down * steps)[:, None]
        inside &= (along >= -slack) & (along <= side - 1 + slack)
    return values, inside
