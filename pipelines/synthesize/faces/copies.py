"""Makes the copies of an image that an ingest is expected to recognize (or, mirrored, is not)."""

from __future__ import annotations

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.faces import encode_jpeg

_REENCODE_QUALITY = 50
_BRIGHTEN = 1.2
_CROP = 0.05


def copy_of(kind: str, encoded: bytes, quality: int) -> tuple[bytes, int, int]:
    """Returns one of `recipe.COPY_KINDS` made from a JPEG, with its width and height.

    - copy: the same bytes. reencode, conflict: the same pixels at quality 50.
    - resize: half as wide and high. brighten: 20 % brighter, clipped at white.
    - crop: 5 % of the width and of the height cut away, evenly at both sides.
    - mirror: left and right exchanged.
    """
    bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("copy_of takes an image that OpenCV can decode")
    pixels = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    height, width = pixels.shape[:2]
    if kind == "copy":
        return encoded, width, height
    if kind in ("reencode", "conflict"):
        quality = _REENCODE_QUALITY
    elif kind == "resize":
        pixels = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    elif kind == "brighten":
        pixels = cv2.convertScaleAbs(pixels, alpha=_BRIGHTEN)
    elif kind == "crop":
        cut_x, cut_y = max(1, round(width * _CROP)), max(1, round(height * _CROP))
        left, top = cut_x // 2, cut_y // 2
        pixels = pixels[top : top + height - cut_y, left : left + width - cut_x]
    elif kind == "mirror":
        pixels = pixels[:, ::-1]
    else:
        raise ValueError(f"kind must be one of recipe.COPY_KINDS, got {kind!r}")
    pixels = np.ascontiguousarray(pixels)
    return encode_jpeg(pixels, quality), pixels.shape[1], pixels.shape[0]
