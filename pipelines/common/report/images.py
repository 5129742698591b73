"""Sheets of thumbnails in groups, embedded in the page as data: URIs."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.pipelines.common.report.markup import Markup, fill

# The filter is two radio buttons and the style sheet: the page's policy lets no script run.
_SHEET = """{% if orders %}
<fieldset class="orders">
<legend>Show</legend>
{% for label in orders %}
<label><input type="radio" name="{{ name }}" class="order-{{ loop.index }}"\
{% if loop.first %} checked{% endif %}> {{ label }}</label>
{% endfor %}
</fieldset>
{% endif %}
<div class="groups">
{% for group in groups %}
<div class="{{ group.classes }}"{% if group.rank is not none %} style="--rank: {{ group.rank }}"\
{% endif %}>
{% if group.title %}
<h3>{{ group.title }}</h3>
{% endif %}
{% if group.note %}
<p class="quiet">{{ group.note }}</p>
{% endif %}
<div class="tiles">
{% for image in group.thumbnails %}
<figure><img src="{{ image.source }}" alt="{{ image.alt }}" title="{{ image.alt }}">
<figcaption>{{ image.lines }}
{%- if image.note %}<br><span class="quiet">{{ image.note }}</span>{% endif %}</figcaption></figure>
{% endfor %}
</div>
</div>
{% endfor %}
</div>"""

# Characters of a caption that fit under an image, and where a longer one may break: after a part of
# the name, such as `Anna/` or `photo_`, and before its extension.
_WIDEST = 14
_BREAKS = re.compile(r"(?<=[_/])|(?=\.\w{1,5}$)")

_STRIP = """<div class="strip">
{% for image in thumbnails %}
<img src="{{ image.source }}" alt="{{ image.alt }}" title="{{ image.alt }}">
{% endfor %}
</div>"""


@dataclass(frozen=True)
class Thumbnail:
    """One small image.

    Attributes:
        jpeg: its bytes.
        caption: what stands below it.
        note: a quiet line below that, or "".
        full_name: the text for a reader who does not see the image, which also shows under the
            pointer; the caption if "".
    """

    jpeg: bytes
    caption: str
    note: str = ""
    full_name: str = ""

    def __post_init__(self) -> None:
        if not self.jpeg.startswith(b"\xff\xd8\xff"):
            raise ValueError(f"thumbnail must be JPEG bytes, got {self.jpeg[:8]!r}")

    @property
    def lines(self) -> Markup:
        """The caption; one that is wider than its image breaks after a part of the name first."""
        parts = _BREAKS.split(self.caption) if len(self.caption) > _WIDEST else [self.caption]
        return Markup("<wbr>").join(part for part in parts if part)

    @property
    def source(self) -> str:
        """The JPEG as a data: URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")

    @property
    def alt(self) -> str:
        """The text that stands for the image."""
        return self.full_name or self.caption


@dataclass(frozen=True)
class Group:
    """Thumbnails that belong together: a duplicate cluster, a conflict, the samples.

    Attributes:
        title: above the thumbnails, or "".
        thumbnails: in order.
        note: a quiet line below the title, or "".
        rank: position in the second order of `sheet`; None for a group that is not part of it.
        is_first: whether the group is part of the first order.
    """

    title: str
    thumbnails: Sequence[Thumbnail]
    note: str = ""
    rank: int | None = None
    is_first: bool = True

    @property
    def classes(self) -> str:
        """The classes of its HTML element."""
        return " ".join(
            ["group"]
            + ["plain"] * (not self.title)
            + ["first"] * self.is_first
            + ["second"] * (self.rank is not None)
        )


def encode(pixels: np.ndarray, side: int = 128, quality: int = 80) -> bytes:
    """A small JPEG of the pixels, in their proportions, for `Thumbnail`.

    Args:
        pixels: uint8 [H, W, 3], RGB.
        side: the longer side is at most this many pixels; smaller images stay as they are.
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


def short_name(name: str, folder: str = "") -> str:
    """An image_id as a caption, without what the caption stands beside.

    Args:
        name: the image_id.
        folder: the folder in the title; it is left out, and so is a folder that begins the name of
            the file.
    """
    short = name.removeprefix(f"{folder}/") if folder else name
    parts = short.split("/")
    return parts[-1] if len(parts) > 1 and parts[-1].startswith(parts[-2]) else short


def strip(thumbnails: Sequence[Thumbnail]) -> Markup:
    """One row of thumbnails without captions, as many as fit the width of the page."""
    return fill(_STRIP, thumbnails=thumbnails)


def sheet(groups: Sequence[Group], name: str = "", orders: Sequence[str] = ()) -> Markup:
    """The groups side by side over the width of the page, each with thumbnails and captions.

    Args:
        groups: in the first order.
        name: of the choice between the orders, unique on the page.
        orders: labels of the first and of the second order, between which a reader can choose;
            none for a sheet with one order.

    Raises:
        ValueError: there are labels of one order or of more than two, or labels without a name.
    """
    if len(orders) not in (0, 2) or (orders and not name):
        raise ValueError(
            f"a sheet must have two orders and a name for them, or none, got {list(orders)!r} "
            f"and {name!r}"
        )
    return fill(_SHEET, groups=groups, name=name, orders=orders)
