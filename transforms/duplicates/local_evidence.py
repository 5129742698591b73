"""Local evidence: where two registered images differ most, against the structure of that place.

One correlation of the complete square cannot tell a copy from a photo of the same moment: outline
and background outweigh a smile or closed eyes. So the images are registered once more at 128x128,
the sharper one is blurred until it matches the other, gain and offset of brightness are removed
around every pixel, and what then remains is divided by the contrast of its surroundings. In a copy
the remainder is compression, noise and resampling, which is small everywhere. In another photo it
is large somewhere, and mostly in the face.
"""

import cv2
import numpy as np

SIDE = 128

# Pixels outside these are ignored: a brighter or darker copy is clipped elsewhere, and the corners
# of an aligned photo are black. A corner takes at least this share of the image.
_DARK, _CLIPPED = 6, 250
_MIN_CORNER = 0.0005
# Shares of the side between which the face lies: left, top, right, bottom.
_FACE = (0.2, 0.25, 0.8, 0.875)
# The difference is the largest of: the 99th percentile over the face; that over the image times the
# first factor; the maximum over the face times the second. Copies differ more outside the face,
# at the edges of the black corners.
_IMAGE_SHARE, _PEAK_SHARE = 0.64, 0.5
_PERCENTILE = 99
# Measured before the last registration, a pair with less is a copy already.
_CLEAR = 0.11
# With a smaller share of usable pixels, the unusable ones are compared too.
_MIN_COMPARABLE = 0.2
_STEPS = ((64, 3), (128, 2))
_MAX_STEP = 0.1
# Standard deviations, in pixels, of the blurs that are tried on the sharper image, and of the blur
# that both images get.
_BLURS = (0.8, 1.1, 1.5, 2.0, 2.5, 3.0, 3.6, 4.3, 5.0, 6.0, 7.0)
_BASE_BLUR = 1.4
# A blur must bring the images this much nearer to be taken.
_GAINED = 0.93
# Where the sharper image was blurred, both are blurred by the first share of that again, since a
# Gaussian is not exactly what enlarging does; the rim without evidence grows by the second share of
# it, and the floor of the contrast by the third.
_COMMON_BLUR, _RIM_SHARE, _FLOOR_GROWTH = 0.7, 1.5, 0.7
_SMOOTHING = 2.0
# The surroundings of a pixel, in pixels.
_WINDOW = 27
# How far the gain of a place may be from the gain of the image.
_MAX_GAIN = 1.6
# Contrast that is added to that of a place: a share of the image's, plus grey levels. Noise in a
# flat place is no difference.
_FLOOR_SHARE, _FLOOR_LEVELS = 0.08, 2.0
_KERNEL = np.ones((3, 3), np.uint8)


def sized(grey: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A grey image at the side of the comparison: [side, side], of the same type.

    Sides are halved first, so that no pixel is skipped.

    Args:
        grey: uint8 or float32 [height, width].
        side: in pixels.
    """
    while min(grey.shape) > 2 * side:
        height, width = ((length + 1) // 2 for length in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    if grey.shape == (side, side):
        return grey
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_LINEAR)


def local_difference(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> float:
    """The largest local difference of two images, from 0 (equal) to about 1.

    Args:
        first: uint8 [S, S], grey, mirrored already if the pair is.
        second: uint8 [T, T], grey.
        affine: float32 [2, 3], from `registration.register`.
    """
    a, b = (sized(image).astype(np.float32) for image in (first, second))
    found = _measured(a, b, affine)
    if found <= _CLEAR:
        return found
    for side, steps in _STEPS:
        affine = _improved(sized(a, side), sized(b, side), affine, steps)
    return min(found, _measured(a, b, affine))


def _measured(a: np.ndarray, b: np.ndarray, affine: np.ndarray) -> float:
    """The local difference of `a`, sampled through the map, and `b`."""
    sampled, inside = _sampled(np.dstack([a, _usable(a)]), affine)
    a, usable = sampled[..., 0], sampled[..., 1] > 0.99
    used = inside & usable & (_usable(b) > 0)
    if used.mean() < _MIN_COMPARABLE:
        used = inside
    blurs = _blurs(a, b, used.astype(np.float32))
    softness = max(blurs)
    used = _without_rim(used, 1 + round(_RIM_SHARE * softness))
    weights = used.astype(np.float32)
    common = float(np.hypot(_BASE_BLUR, _COMMON_BLUR * softness))
    a, b = (
        _blurred(image, float(np.hypot(common, sigma)))
        for image, sigma in zip((a, b), blurs, strict=True)
    )
    difference = _relative_difference(a, b, weights, softness)
    left, top, right, bottom = (round(share * SIDE) for share in _FACE)
    everywhere = difference[used]
    face = difference[top:bottom, left:right][used[top:bottom, left:right]]
    if not len(everywhere):
        return 1.0
    found = _IMAGE_SHARE * np.percentile(everywhere, _PERCENTILE)
    if len(face):
        found = max(found, np.percentile(face, _PERCENTILE), _PEAK_SHARE * face.max())
    return float(min(found, 1.0))


def _without_rim(used: np.ndarray, width: int) -> np.ndarray:
    """Removes the rim of unusable pixels, which blurs and resampling mix in, if enough remains."""
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    narrower = cv2.erode(used.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
    return narrower if narrower.mean() >= _MIN_COMPARABLE else used


def _relative_difference(
    a: np.ndarray, b: np.ndarray, weights: np.ndarray, softness: float
) -> np.ndarray:
    """Differences over the contrast around each pixel, without local gain and offset: [S, S]."""
    window = (_WINDOW, _WINDOW)
    layers = np.dstack([np.ones_like(a), a, b]) * weights[..., None]
    share, mean_a, mean_b = cv2.split(cv2.blur(layers, window, borderType=cv2.BORDER_REPLICATE))
    share = np.maximum(share, 1e-6)
    mean_a, mean_b = mean_a / share, mean_b / share
    high_a, high_b = (a - mean_a) * weights, (b - mean_b) * weights
    products = np.dstack([high_a * high_a, high_b * high_b, high_a * high_b])
    products = cv2.blur(products, window, borderType=cv2.BORDER_REPLICATE)
    spread_a, spread_b, shared = (layer / share for layer in cv2.split(products))
    # The filter adds and takes away by turns, so a flat place can be a little below zero.
    spread_a, spread_b = np.maximum(spread_a, 0), np.maximum(spread_b, 0)
    contrast = _deviation(b, weights)
    whole = contrast / (_deviation(a, weights) + 1e-3)
    # With little contrast the gain of the image is more certain than that of the place.
    gain = (shared + 4 * whole) / (spread_a + 4)
    gain = np.clip(gain, whole / _MAX_GAIN, whole * _MAX_GAIN)
    rest = cv2.GaussianBlur(
        (high_b - gain * high_a) * weights,
        (0, 0),
        _SMOOTHING,
        borderType=cv2.BORDER_REPLICATE,
    )
    # The compression of a small copy is as coarse as its pixels.
    floor = (_FLOOR_SHARE * contrast + _FLOOR_LEVELS) * (1 + _FLOOR_GROWTH * softness)
    # At the rim of what is comparable the surroundings are too few.
    return np.where(share > 0.3, np.abs(rest) / (np.sqrt(spread_b) + floor), 0)


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    used = values[weights > 0]
    return float(used.std()) if len(used) else 0.0


def _blurs(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Standard deviations of the blurs that make both images equally sharp; one of them is 0."""
    plain = _blurred(a, _BASE_BLUR), _blurred(b, _BASE_BLUR)
    best = _distance(*plain, weights)
    found = 0.0, 0.0
    for blurs_first in (True, False):
        for sigma in _BLURS:
            blurred = _blurred(a if blurs_first else b, float(np.hypot(sigma, _BASE_BLUR)))
            tried = (blurred, plain[1]) if blurs_first else (plain[0], blurred)
            distance = _distance(*tried, weights)
            # A little is gained by blurring any difference.
            if distance >= best * _GAINED - 1e-5:
                break
            best, found = distance, (sigma, 0.0) if blurs_first else (0.0, sigma)
    return found


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _distance(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """One minus the correlation over the weights."""
    total = max(float(weights.sum()), 1.0)
    a = (a - float((a * weights).sum()) / total) * weights
    b = (b - float((b * weights).sum()) / total) * weights
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return 1 - float((a * b).sum()) / norm if norm > 1e-3 else 1.0


def _usable(image: np.ndarray) -> np.ndarray:
    """1 where a pixel and its neighbors are neither clipped nor in a black corner: [S, S]."""
    excluded = image >= _CLIPPED
    dark = (image <= _DARK).astype(np.uint8)
    if dark.any():
        # Black eyes or hair belong to the picture; a black area at the border does not.
        _, areas, found, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
        left, top, width, height, area = found.T
        side = len(image)
        outer = (left == 0) | (top == 0) | (left + width == side) | (top + height == side)
        corners = outer & (area >= _MIN_CORNER * side * side)
        corners[0] = False
        excluded = excluded | corners[areas]
    return cv2.erode((~excluded).astype(np.uint8), _KERNEL, borderType=cv2.BORDER_REPLICATE).astype(
        np.float32
    )


def _sampled(layers: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Layers float32 [S, S, C] sampled through the map, and whether each point lies inside."""
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


def _improved(a: np.ndarray, b: np.ndarray, affine: np.ndarray, steps: int) -> np.ndarray:
    """The map after some steps of Lucas and Kanade's method over the usable pixels, or as it was.

    Pixels that fit badly after the first step weigh less: what differs must not pull the map.
    """
    usable_a, usable_b = _usable(a), _usable(b)
    a, b = _blurred(a, 0.85), _blurred(b, 0.85)
    side = len(a)
    slopes = [cv2.Sobel(a, -1, *order, ksize=3) * (side / 16) for order in ((1, 0), (0, 1))]
    layers = np.dstack([a, *slopes, usable_a])
    centers = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    x, y = np.tile(centers, side), np.repeat(centers, side)
    target = b.ravel()
    improved = affine
    solution = None
    for _ in range(steps):
        sampled, inside = _sampled(layers, improved)
        level, across, down, usable = sampled.reshape(-1, 4).T
        weights = inside.ravel() * (usable > 0.99) * usable_b.ravel()
        if weights.mean() < _MIN_COMPARABLE:
            weights = inside.ravel().astype(np.float32)
        if solution is not None:
            error = np.abs(target - level * np.float32(solution[6]) - np.float32(solution[7]))
            scale = 3 * np.median(error[weights > 0]) + 1 if weights.any() else 1
            weights = weights * np.minimum(1, scale / (error + 1e-6))
        columns = [across * x, across * y, across, down * x, down * y, down, level]
        design = np.stack([*columns, np.ones_like(level)])
        weighted = design * weights
        normal = (weighted @ design.T).astype(np.float64)
        # Damping: edges in one direction only do not determine the map.
        normal[np.diag_indices(8)] *= 1.001
        normal[np.diag_indices(8)] += 1e-3
        solution = np.linalg.solve(normal, (weighted @ target).astype(np.float64))
        gain = solution[6] if abs(solution[6]) >= 0.2 else 1.0
        step = np.clip(solution[:6] / gain, -_MAX_STEP, _MAX_STEP)
        improved = improved + step.reshape(2, 3).astype(np.float32)
    before, after = (_fit(layers, b, usable_b, one) for one in (affine, improved))
    return improved if after <= before else affine


def _fit(layers: np.ndarray, b: np.ndarray, usable: np.ndarray, affine: np.ndarray) -> float:
    """One minus the correlation over the usable pixels."""
    sampled, inside = _sampled(layers, affine)
    weights = (inside & (sampled[..., 3] > 0.99)).astype(np.float32) * usable
    if weights.mean() < _MIN_COMPARABLE:
        weights = inside.astype(np.float32)
    return _distance(sampled[..., 0], b, weights)
