"""A photo as people recognize it: complete, small and grey, for pages."""

import cv2
import numpy as np

_EDGE = 128


def preview(pixels: np.ndarray, side: int) -> np.ndarray:
    """The complete photo in its proportions, in the middle of a grey square.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        side: of the square, in pixels.

    Returns:
        uint8 [side, side].
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, inner[::-1], interpolation=cv2.INTER_AREA)
    square = np.full((side, side), _EDGE, np.uint8)
    top, left = (side - inner[0]) // 2, (side - inner[1]) // 2
    square[top : top + inner[0], left : left + inner[1]] = small
    return square
