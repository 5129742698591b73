"""Flat margins of a photo: borders and bars that somebody put around it, or a plain background."""

import numpy as np

# Samples of one line that differ by no more are flat; JPEG changes them by a few levels.
_FLAT = 12


def flat_margins(pixels: np.ndarray) -> float:
    """The share of the area that flat lines at the edges take, in [0, 1); 0 for a flat image.

    A line is flat if each channel has nearly one value along it. Lines of other colors behind it
    count too, so that a border around a photo that has bars of its own is found with them.

    Args:
        pixels: uint8 [height, width, 3].
    """
    height, width = pixels.shape[:2]
    top, bottom, left, right = 0, height, 0, width
    while top < bottom and left < right:
        part = pixels[top:bottom, left:right]
        if _is_flat(part[0]):
            top += 1
        elif _is_flat(part[-1]):
            bottom -= 1
        elif _is_flat(part[:, 0]):
            left += 1
        elif _is_flat(part[:, -1]):
            right -= 1
        else:
            return 1 - (bottom - top) * (right - left) / (height * width)
    return 0.0


def _is_flat(line: np.ndarray) -> bool:
    """Whether uint8 [length, 3] has nearly one color; most lines are decided by two pixels."""
    first, middle = line[0].astype(np.int16), line[len(line) // 2]
    if np.abs(first - middle).max() > _FLAT:
        return False
    return bool((line.max(axis=0).astype(np.int16) - line.min(axis=0)).max() <= _FLAT)
