"""The row of key figures at the top of a report, and lists of links."""

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.pipelines.common.report.markup import Markup, fill
from facemill.pipelines.common.report.tables import format_cell

_CARDS = """<dl class="cards">
{% for card in cards %}
<div><dt>{{ card.label }}</dt><dd class="value">{{ card.shown }}</dd>
{%- if card.note %}<dd class="note">{{ card.note }}</dd>{% endif %}</div>
{% endfor %}
</dl>"""
_LINKS = """<ul class="links">
{% for link in links %}
<li><a href="{{ link.target }}">{{ link.text }}</a>
{%- if link.note %} <span class="quiet">{{ link.note }}</span>{% endif %}</li>
{% endfor %}
</ul>"""


@dataclass(frozen=True)
class Card:
    """One key figure: what it is, its value, and a short note or ""."""

    label: str
    value: str | int | float
    note: str = ""

    @property
    def shown(self) -> str:
        """The value as text."""
        return format_cell(self.value)


@dataclass(frozen=True)
class Link:
    """A link to a file beside or below this report; `path` is relative, with "/"."""

    path: str
    text: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.path.startswith(("/", "\\")) or ".." in self.path.split("/"):
            raise ValueError(f"link must be a relative path below the report, got {self.path!r}")

    @property
    def target(self) -> str:
        """The path quoted for `href`; "./" keeps a ":" from being read as a scheme."""
        return "./" + urllib.parse.quote(self.path, errors="surrogateescape")


def cards(items: Sequence[Card]) -> Markup:
    """The key figures in a row that wraps."""
    return fill(_CARDS, cards=items)


def links(items: Sequence[Link]) -> Markup:
    """A list of links to other reports."""
    return fill(_LINKS, links=items)
