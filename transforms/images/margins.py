"""Flat margins of a photo: borders and bars that somebody put around it, or a plain background."""

import numpy as np

# Samples of one line that differ by no more are flat; JPEG changes them by a few levels.
_FLAT = 12
# Pixels of a line, and lines, that are looked at first.
_SAMPLES = 8
_FIRST = 4


def flat_margins(pixels: np.ndarray) -> float:
    """The share of the area that flat lines at the edges take, in [0, 1); 0 for a flat image.

    A line is flat if each channel has nearly one value along it. Lines of other colors behind it
    count too, so that a border around a photo that has bars of its own is found with them.

    Args:
        pixels: uint8 [height, width, 3].
    """
    height, width = pixels.shape[:2]
    part = pixels
    while part.size:
        top, bottom = _flat_lines(part), _flat_lines(part[::-1])
        part = part[top : max(top, len(part) - bottom)]
        turned = part.transpose(1, 0, 2)
        left, right = _flat_lines(turned), _flat_lines(turned[::-1])
        part = part[:, left : max(left, part.shape[1] - right)]
        if not any((top, bottom, left, right)):
            return 1 - part.shape[0] * part.shape[1] / (height * width)
    return 0.0


def _flat_lines(lines: np.ndarray) -> int:
    """How many of the first lines of uint8 [count, length, 3] have nearly one color each."""
    if not lines.size:
        return 0
    # Most photos have no flat edge, of which two pixels of each edge convince within microseconds.
    first, middle = lines[0, 0].tolist(), lines[0, lines.shape[1] // 2].tolist()
    if any(abs(one - other) > _FLAT for one, other in zip(first, middle, strict=True)):
        return 0
    # A few pixels of each line find where the flat ones end, at the most.
    step = max(1, lines.shape[1] // _SAMPLES)
    some = _FIRST
    while (candidates := _leading(lines[:some, ::step])) == some:
        some *= _FIRST
    return _leading(lines[:candidates]) if candidates else 0


def _leading(lines: np.ndarray) -> int:
    # Numpy takes extremes along the first axis a hundred times faster than along the second.
    columns = np.ascontiguousarray(lines.transpose(1, 0, 2))
    rough = (columns.max(axis=0) - columns.min(axis=0)).max(axis=1) > _FLAT
    return int(rough.argmax()) if rough.any() else len(lines)
