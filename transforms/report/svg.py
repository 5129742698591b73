"""Turns a matplotlib figure into an SVG that lives inside an HTML page.

Three things are changed in what matplotlib writes: colors become the page's CSS variables
(so that one chart serves light and dark), ids get the chart's own prefix (two charts in one
page must not share one), and the size is left to the container.
"""

import io
import re
from typing import TYPE_CHECKING

from transforms.report.markup import Markup, fill

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Stand-ins that no chart draws otherwise; `embed` replaces each by the variable.
INK = "#010101"
RULE = "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304")
_VARIABLES = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    **{color: f"var(--series-{index})" for index, color in enumerate(SERIES, start=1)},
}

_FIGURE = """<figure class="chart"><figcaption>{{ title }}</figcaption>
{{ drawing }}
</figure>"""
_OPENING = (
    '<svg viewBox="{{ box }}" role="img" aria-labelledby="{{ prefix }}-alt">'
    '<title id="{{ prefix }}-alt">{{ alt }}</title>'
)
_REFERENCE = re.compile(r'(url\(#|href="#)([^)"]+)')
_ID = re.compile(r' id="([^"]*)"')


def embed(figure: "Figure", prefix: str, title: str, alt: str) -> Markup:
    """The figure as an HTML `<figure>` with caption, text alternative and inline SVG.

    Args:
        figure: drawn with the colors of this module, under a fixed `svg.hashsalt`.
        prefix: starts every id; unique in the page.
        title: the caption above the drawing.
        alt: the text alternative.

    Raises:
        ValueError: matplotlib's SVG has no view box.
    """
    stream = io.StringIO()
    figure.savefig(
        stream,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = stream.getvalue()
    box = re.search(r'<svg[^>]*viewBox="([^"]+)"', text)
    if box is None:
        raise ValueError("matplotlib must write an SVG with a viewBox, got one without")
    body = text[text.index(">", box.start()) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    used = {name for _, name in _REFERENCE.findall(body)}
    body = _ID.sub(
        lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "",
        body,
    )
    body = _REFERENCE.sub(rf"\g<1>{prefix}-\g<2>", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, variable)
    opening = fill(_OPENING, box=box[1], prefix=prefix, alt=alt)
    return fill(_FIGURE, title=title, drawing=opening + Markup(body.strip()))
