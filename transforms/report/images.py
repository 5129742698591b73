"""Sheets of thumbnails, embedded in the page as data: URIs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from transforms.report.markup import Markup, fill

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


def sheet(groups: Sequence[Group]) -> Markup:
    """The groups one under the other, each a grid of thumbnails with captions."""
    return fill(_SHEET, groups=groups)
