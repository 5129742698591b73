"""Sheets of thumbnails, embedded in the page as data: URIs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.pipelines.common.report.markup import Markup, fill

_SHEET = """{% for group in groups %}
<div>
{% if group.title %}
<h3>{{ group.title }}</h3>
{% endif %}
{% if group.note %}
<p class="quiet">{{ group.note }}</p>
{% endif %}
<div class="sheet">
{% for image in group.thumbnails %}
<figure><img src="{{ image.source }}" alt="{{ image.caption }}" loading="lazy">
<figcaption>{{ image.caption }}
{%- if image.note %}<br><span class="quiet">{{ image.note }}</span>{% endif %}</figcaption></figure>
{% endfor %}
</div>
</div>
{% endfor %}"""


@dataclass(frozen=True)
class Thumbnail:
    """One small picture: JPEG bytes, what it is called, and a quiet note or ""."""

    jpeg: bytes
    caption: str
    note: str = ""

    def __post_init__(self) -> None:
        if not self.jpeg.startswith(b"\xff\xd8\xff"):
            raise ValueError(f"thumbnail must be JPEG bytes, got {self.jpeg[:8]!r}")

    @property
    def source(self) -> str:
        """The picture as a data: URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True)
class Group:
    """Pictures that belong together: a duplicate cluster, a conflict, the samples."""

    title: str
    thumbnails: Sequence[Thumbnail]
    note: str = ""


def encode(pixels: np.ndarray, side: int = 112, quality: int = 80) -> bytes:
    """A small JPEG of the pixels, in their proportions, for `Thumbnail`.

    Args:
        pixels: uint8 [H, W, 3], RGB.
        side: the longer side is at most this many pixels; smaller pictures stay as they are.
        quality: of the JPEG, 1..100.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"pixels must be uint8 [H, W, 3], got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # OpenCV's order is BGR.
    done, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"pixels of shape {pixels.shape} cannot be encoded as JPEG")
    return data.tobytes()


def sheet(groups: Sequence[Group]) -> Markup:
    """The groups one under the other, each a grid of thumbnails with captions."""
    return fill(_SHEET, groups=groups)
