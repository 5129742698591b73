"""Registration of candidates by their thumbnails, which discards the pairs that cannot be copies.

The first image is registered to the second. The start is the frame of the variant that the search
found; then follows Lucas and Kanade's registration over affine maps with gain and offset of
brightness, first at 32x32 pixels, which rejects most candidates, then at 64x64. A copy that was
made much smaller lacks the detail of its original: the sharper of the two images is then blurred
like the other. Of what correlates enough the largest local difference is measured. What that leaves
in doubt is compared closely by `local_evidence`.
"""

from dataclasses import dataclass

import numpy as np

from facemill.transforms.duplicates.coarse_evidence import thumbnail_difference
from facemill.transforms.images import crop_variants

# Copies are above this, even if the black corners of their alignment spoil the registration; so are
# photos of one moment. See docs/duplicates.md.
MIN_CORRELATION = 0.955
# Local differences of thumbnails up to the first are those of copies, and from the second on those
# of other photos. See the docs too.
CLEAR, HOPELESS = 0.1, 0.62
# Up to this difference they are copies if they correlate that much.
CLEAR_IF_ALIGNED, ALIGNED = 0.15, 0.997
# After registration at 32x32 alone, other photos are from here on.
_HOPELESS_AT_32 = 0.75

# At 32x32: registration brings nothing below the first above the second, and nothing that is below
# the second passes at 64x64.
_MIN_TO_REGISTER = 0.82
_MIN_AT_32 = 0.94
_STEPS = 2
# Blurring is tried from here on: copies that need it are above.
_MIN_TO_BLUR = 0.9
# An image is sharper than another if its finest detail, as a share of its contrast, is that many
# times greater. Photos of one size differ less.
_SHARPER = 1.3
_BLURS = 4
# Pixels above this are ignored: where one image is clipped, a brighter or darker copy differs.
_CLIPPED = 245
# How far one step may change a map, in half sides.
_MAX_STEP = 0.1
_MIN_OVERLAP = 0.5
# Standard deviation, in grey levels, below which an image has no texture to compare.
_FLAT = 1.0
_SAME_LEVEL = 2.0
# Thumbnails at a time: their temporaries take about 30 MB.
_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Registered:
    """How N pairs of thumbnails compare.

    Attributes:
        correlation: float64 [N] in [-1, 1], after registration. It says exactly whether a pair
            reaches `MIN_CORRELATION`, and is otherwise rough: a pair that needs no registration has
            the value before registration. Images without texture have 1 if they are equally bright,
            else 0.
        maps: float32 [N, 2, 3], the affine maps from the second image to the first, both as [-1, 1]
            both ways, the first mirrored if the variant is.
        difference: float64 [N] in [0, 1], see `coarse_evidence.thumbnail_difference`; 1 for pairs
            that do not correlate enough.
    """

    correlation: np.ndarray
    maps: np.ndarray
    difference: np.ndarray


def register(first: np.ndarray, second: np.ndarray, variant: np.ndarray) -> Registered:
    """Registers the given variant of the first images to the second images.

    Args:
        first: uint8 [N, 64, 64], see `perceptual_hash.grey_thumbnail`.
        second: uint8 [N, 64, 64].
        variant: integers [N], indices into `crop_variants.FRAMES`; 0 for the whole image.
    """
    found = Registered(
        np.empty(len(first)), np.empty((len(first), 2, 3), np.float32), np.ones(len(first))
    )
    for start in range(0, len(first), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = _register(first[chunk], second[chunk], np.asarray(variant[chunk]))
        found.correlation[chunk], found.maps[chunk] = part.correlation, part.maps
        found.difference[chunk] = part.difference
    return found


def _register(first: np.ndarray, second: np.ndarray, variant: np.ndarray) -> Registered:
    first = np.where(crop_variants.MIRRORED[variant][:, None, None], first[:, :, ::-1], first)
    maps = _maps(crop_variants.FRAMES[variant])
    a, b = _smoothed(_halved(first)), _smoothed(_halved(second))
    values = _correlation(a, b, maps)
    # Registration costs most, so it skips pairs that cannot pass and pairs that need none.
    some = np.flatnonzero((values >= _MIN_TO_REGISTER) & (values < ALIGNED))
    maps[some], values[some] = _improved(a[some], b[some], maps[some], values[some])
    differences = np.ones(len(first))

    def measure(rows: np.ndarray) -> None:
        for row in rows.tolist():
            found = thumbnail_difference(first[row], second[row], maps[row])
            differences[row] = min(differences[row], found)

    left = np.flatnonzero(values >= _MIN_AT_32)
    measure(left)
    left = left[(differences[left] > CLEAR) & (differences[left] < _HOPELESS_AT_32)]
    a, b, closer = _smoothed(first[left]), _smoothed(second[left]), maps[left]
    # The value at 64x64 replaces the one at 32x32 even if it is lower: it uses more detail.
    at_64 = _correlation(a, b, closer)
    some = np.flatnonzero(at_64 < ALIGNED)
    closer[some], at_64[some] = _improved(a[some], b[some], closer[some], at_64[some])
    some = np.flatnonzero((at_64 < MIN_CORRELATION) & (at_64 >= _MIN_TO_BLUR))
    at_64[some] = _after_blurring(a[some], b[some], closer[some], at_64[some])
    values[left], maps[left] = at_64, closer
    passed = at_64 >= MIN_CORRELATION
    differences[left[~passed]] = 1
    measure(left[passed])
    spread = [part.reshape(len(part), -1).std(axis=1) < _FLAT for part in (first, second)]
    flat = np.flatnonzero(spread[0] | spread[1])
    level = first[flat].mean(axis=(1, 2)) - second[flat].mean(axis=(1, 2))
    values[flat] = spread[0][flat] & spread[1][flat] & (np.abs(level) <= _SAME_LEVEL)
    differences[flat] = 1 - values[flat]
    return Registered(values, maps, differences)


def _improved(
    a: np.ndarray, b: np.ndarray, maps: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maps and correlations after registration, where registration improved them."""
    registered = _registered(a, b, maps)
    after = _correlation(a, b, registered)
    better = after > values
    return np.where(better[:, None, None], registered, maps), np.where(better, after, values)


def _after_blurring(
    a: np.ndarray, b: np.ndarray, maps: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Correlations after blurring the sharper image like the other, where that increases them."""
    a, b = a.copy(), b.copy()
    ratio = _detail(a) / _detail(b)
    unequal = np.maximum(ratio, 1 / ratio) > _SHARPER
    for one, other in ((a, b), (b, a)):
        for _ in range(_BLURS):
            sharper = np.flatnonzero(_detail(one) > _SHARPER * _detail(other))
            one[sharper] = _smoothed(one[sharper])
    after = _correlation(a, b, maps)
    return np.where(unequal, np.maximum(after, values), values)


def _detail(images: np.ndarray) -> np.ndarray:
    """The share of the contrast that one more smoothing removes: float64 [N], above 0."""
    fine = (images - _smoothed(images)).var(axis=(1, 2), dtype=np.float64)
    return (fine + 1e-9) / (images.var(axis=(1, 2), dtype=np.float64) + 1e-9)


def _halved(images: np.ndarray) -> np.ndarray:
    """float32 [N, 32, 32], the means of 2x2 pixels of uint8 [N, 64, 64]."""
    wide = images.astype(np.float32)
    rows = wide[:, ::2] + wide[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def _smoothed(images: np.ndarray) -> np.ndarray:
    """float32 [N, S, S] after (1 2 1) / 4 both ways.

    Resampling blurs an image a little; after this blur that difference does not count.
    """
    padded = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1)), "edge")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def _maps(frames: np.ndarray) -> np.ndarray:
    """Affine maps float32 [N, 2, 3] from the frame, as [-1, 1] both ways, to the whole image."""
    left, top, right, bottom = frames.T
    maps = np.zeros((len(frames), 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 2] = right - left, right + left - 1
    maps[:, 1, 1], maps[:, 1, 2] = bottom - top, bottom + top - 1
    return maps


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Centers of the pixels, x and y in [-1, 1]: float32 [side * side] each."""
    centers = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    return np.tile(centers, side), np.repeat(centers, side)


def _sampled(images: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples images through affine maps, bilinear.

    Args:
        images: float32 [N, S, S, C].
        maps: float32 [N, 2, 3].

    Returns:
        (float32 [N, S * S, C], bool [N, S * S] whether the point lies in the image).
    """
    count, side = images.shape[:2]
    x, y = _grid(side)
    points = maps[:, :, :1] * x + maps[:, :, 1:2] * y + maps[:, :, 2:]
    points = (points + 1) * (side / 2) - 0.5
    inside = ((points >= -0.5) & (points <= side - 0.5)).all(axis=1)
    points = np.clip(points, 0, side - 1.001)
    corner = points.astype(np.int32)
    share = points - corner
    across, down = share[:, 0, :, None], share[:, 1, :, None]
    pixels = images.reshape(-1, images.shape[3])
    base = corner[:, 1] * side + corner[:, 0]
    base += (np.arange(count, dtype=np.int32) * side**2)[:, None]
    upper, lower = pixels[base], pixels[base + side]
    upper += (pixels[base + 1] - upper) * across
    lower += (pixels[base + side + 1] - lower) * across
    upper += (lower - upper) * down
    return upper, inside


def _correlation(a: np.ndarray, b: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Correlation of `a`, sampled through maps, with `b`, both float32 [N, S, S]: float64 [N]."""
    count = len(a)
    sampled, inside = _sampled(a[..., None], maps)
    a, b = sampled[..., 0], b.reshape(inside.shape)
    used = inside & (a < _CLIPPED) & (b < _CLIPPED)
    # An image that is clipped nearly everywhere is compared with its clipped pixels.
    bright = used.mean(axis=1) < _MIN_OVERLAP / 2
    used[bright] = inside[bright]
    weights = used.astype(np.float32)
    a, b = _centered(a, weights), _centered(b, weights)
    norms = np.sqrt(_dot(a, a) * _dot(b, b))
    values = np.divide(_dot(a, b), norms, out=np.zeros(count), where=norms > 1e-3)
    return np.where(inside.mean(axis=1) >= _MIN_OVERLAP, values, 0.0)


def _centered(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean = _dot(values, weights) / np.maximum(weights.sum(axis=1, dtype=np.float64), 1)
    return (values - mean[:, None].astype(np.float32)) * weights


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1, dtype=np.float64)


def _registered(a: np.ndarray, b: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Improves maps so that `a` sampled through them, times a gain plus an offset, is near `b`.

    Args:
        a: float32 [N, S, S].
        b: the same shape.
        maps: float32 [N, 2, 3].
    """
    side = a.shape[1]
    x, y = _grid(side)
    target = b.reshape(len(b), side**2)
    slopes = np.zeros((*a.shape, 2), np.float32)
    slopes[:, :, 1:-1, 0] = (a[:, :, 2:] - a[:, :, :-2]) * (side / 4)
    slopes[:, 1:-1, :, 1] = (a[:, 2:] - a[:, :-2]) * (side / 4)
    layers = np.concatenate([a[..., None], slopes], axis=3)
    diagonal = np.arange(8)
    for _ in range(_STEPS):
        sampled, inside = _sampled(layers, maps)
        level, across, down = sampled[..., 0], sampled[..., 1], sampled[..., 2]
        used = inside & (level < _CLIPPED) & (target < _CLIPPED)
        columns = [across * x, across * y, across, down * x, down * y, down, level]
        design = np.stack([*columns, np.ones_like(level)], axis=1)
        design *= used[:, None]
        normal = (design @ design.transpose(0, 2, 1)).astype(np.float64)
        right = (design @ target[..., None]).astype(np.float64)
        # Damping: edges in one direction only do not determine the map.
        normal[:, diagonal, diagonal] *= 1.001
        normal[:, diagonal, diagonal] += 1e-3
        solution = np.linalg.solve(normal, right)[..., 0]
        gain = np.where(np.abs(solution[:, 6]) < 0.2, 1.0, solution[:, 6])
        step = np.clip(solution[:, :6] / gain[:, None], -_MAX_STEP, _MAX_STEP)
        maps = maps + step.reshape(-1, 2, 3).astype(np.float32)
    return maps
