"""Sharpness, brightness and contrast of a crop, and the thresholds that a run may set."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.transforms.core.reasons import Reason, ReasonCode

# Red against green, and yellow against blue.
_OPPONENTS = np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)


@dataclass(frozen=True)
class Quality:
    """Measures of the grey crop.

    Attributes:
        sharpness: variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), 0 or more.
        brightness: mean, in [0, 255].
        contrast: standard deviation, in [0, 127.5].
    """

    sharpness: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class QualityThresholds:
    """Thresholds of the measures; with the defaults every image passes.

    Attributes:
        sharpness: minimum.
        contrast: minimum.
        brightness: (minimum, maximum).
    """

    sharpness: float = 0.0
    contrast: float = 0.0
    brightness: tuple[float, float] = (0.0, 255.0)

    def why_rejected(self, quality: Quality) -> Reason | None:
        """The reason, or None if the image passes."""
        low, high = self.brightness
        for name, below, value, least, most in (
            ("sharpness", ReasonCode.LOW_SHARPNESS, quality.sharpness, self.sharpness, math.inf),
            ("contrast", ReasonCode.LOW_CONTRAST, quality.contrast, self.contrast, math.inf),
            ("brightness", ReasonCode.TOO_DARK, quality.brightness, low, high),
        ):
            # The text omits the measured value, because reports count equal reasons.
            if value < least:
                return Reason(below, f"{name} is below {least:g}")
            if value > most:
                return Reason(ReasonCode.TOO_BRIGHT, f"{name} is above {most:g}")
        return None


def colorfulness(pixels: np.ndarray) -> float:
    """How colorful a crop is, 0 for a grey one (Hasler and Suesstrunk, SPIE 2003).

    Photos have some 15 to 60; a grey photo in a color JPEG up to 2.

    Args:
        pixels: uint8 [S, S, 3], RGB.
    """
    # A quarter of the pixels says as much.
    opponents = cv2.transform(pixels[::2, ::2].astype(np.float32), _OPPONENTS)
    mean, spread = (values.ravel().tolist() for values in cv2.meanStdDev(opponents))
    return math.hypot(*spread) + 0.3 * math.hypot(*mean)


def measure(pixels: np.ndarray) -> Quality:
    """The measures of uint8 [S, S, 3], RGB."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    (brightness,), (contrast,) = (values[0] for values in cv2.meanStdDev(grey))
    return Quality(
        float(cv2.meanStdDev(laplacian)[1][0, 0] ** 2), float(brightness), float(contrast)
    )
