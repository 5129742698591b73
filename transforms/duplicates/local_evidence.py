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

from facemill.transforms.duplicates.coarse_evidence import (
    MIN_COMPARABLE,
    SMALL,
    coarse_difference,
    largest,
    registered,
    relative_difference,
    sample,
    usable,
)

SIDE = 128

# Measured before the last registration, a pair with less is a copy already.
_CLEAR = 0.11
# A pair with more is another photo: registration at 64x64 errs by less (0.59 for one photo whose
# black corners differ much).
_HOPELESS = 0.7
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
# Contrast that is added to that of a place: a share of the image's, plus grey levels. Noise in a
# flat place is no difference.
_FLOOR_SHARE, _FLOOR_LEVELS = 0.08, 2.0
# An image is soft if at most that share of its variance is detail that so many pixels cannot hold.
_SOFT, _SOFT_SIDE = 0.01, 48
# Soft images are compared at few pixels too. Differences there are smaller, by this factor.
_SOFT_SHARE = 1.2
# Above this difference at many pixels they are other photos all the same: between equally sharp
# images compression makes less than the first (0.34 at most), and missing detail of a smaller copy
# less than the second (0.47). Closed eyes in a blurred photo make 0.53.
_SOFT_MOST, _SOFT_MOST_SMALLER = 0.38, 0.5


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
    compared = _soft_difference if _is_soft(a) or _is_soft(b) else _measured
    found = compared(*registered(a, b, affine), b)
    if found <= _CLEAR or found >= _HOPELESS:
        return found
    for side, steps in _STEPS:
        affine = _improved(sized(a, side), sized(b, side), affine, steps)
    return min(found, compared(*registered(a, b, affine), b))


def _soft_difference(a: np.ndarray, used: np.ndarray, b: np.ndarray) -> float:
    """The local difference of two registered images of which one has next to no detail."""
    blurs = _blurs(a, b, used.astype(np.float32))
    found = _after_blurs(a, used, b, blurs)
    if found > (_SOFT_MOST_SMALLER if max(blurs) > 0 else _SOFT_MOST):
        return found
    return min(found, _SOFT_SHARE * coarse_difference(a, b, used, SMALL))


def _measured(a: np.ndarray, used: np.ndarray, b: np.ndarray) -> float:
    """The local difference of two registered images, by the pixels that are used."""
    return _after_blurs(a, used, b, _blurs(a, b, used.astype(np.float32)))


def _after_blurs(
    a: np.ndarray, used: np.ndarray, b: np.ndarray, blurs: tuple[float, float]
) -> float:
    """The same with the standard deviations of their blurs, of `_blurs`."""
    softness = max(blurs)
    used = _without_rim(used, 1 + round(_RIM_SHARE * softness))
    weights = used.astype(np.float32)
    common = float(np.hypot(_BASE_BLUR, _COMMON_BLUR * softness))
    a, b = (
        _blurred(image, float(np.hypot(common, sigma)))
        for image, sigma in zip((a, b), blurs, strict=True)
    )
    # The compression of a small copy is as coarse as its pixels.
    growth = 1 + _FLOOR_GROWTH * softness
    floor = _FLOOR_SHARE * growth, _FLOOR_LEVELS * growth
    return largest(relative_difference(a, b, weights, _WINDOW, _SMOOTHING, floor), weights)


def _is_soft(image: np.ndarray) -> bool:
    """Whether an image float32 [S, S] has next to no detail that 48x48 pixels cannot hold."""
    small = cv2.resize(image, (_SOFT_SIDE, _SOFT_SIDE), interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, image.shape, interpolation=cv2.INTER_LINEAR)
    return bool((image - again).var() <= _SOFT * image.var())


def _without_rim(used: np.ndarray, width: int) -> np.ndarray:
    """Removes the rim of unusable pixels, which blurs and resampling mix in, if enough remains."""
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    narrower = cv2.erode(used.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
    return narrower if narrower.mean() >= MIN_COMPARABLE else used


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


def _improved(a: np.ndarray, b: np.ndarray, affine: np.ndarray, steps: int) -> np.ndarray:
    """The map after some steps of Lucas and Kanade's method over the usable pixels, or as it was.

    Pixels that fit badly after the first step weigh less: what differs must not pull the map.
    """
    usable_a, usable_b = usable(a), usable(b)
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
        sampled, inside = sample(layers, improved)
        level, across, down, counted = sampled.reshape(-1, 4).T
        weights = inside.ravel() * (counted > 0.99) * usable_b.ravel()
        if weights.mean() < MIN_COMPARABLE:
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


def _fit(layers: np.ndarray, b: np.ndarray, usable_b: np.ndarray, affine: np.ndarray) -> float:
    """One minus the correlation over the usable pixels."""
    sampled, inside = sample(layers, affine)
    weights = (inside & (sampled[..., 3] > 0.99)).astype(np.float32) * usable_b
    if weights.mean() < MIN_COMPARABLE:
        weights = inside.astype(np.float32)
    return _distance(sampled[..., 0], b, weights)
