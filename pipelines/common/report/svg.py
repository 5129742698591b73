"""Drawing of charts: a frame with two axes, marks inside it, and the HTML figure around it.

Colors are CSS variables of the page, so that one drawing serves light and dark, and nothing
carries an id, so that charts never share one. Coordinates are rounded to a tenth of a unit:
finer than any screen, and the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.pipelines.common.report.markup import Markup, fill
from facemill.pipelines.common.report.scales import Axis

# Units of the drawing. At phone width one unit is about one CSS pixel, so letters of 11
# units stay legible; wider pages enlarge the drawing.
WIDTH = 360.0
HEIGHT = 240.0
LETTER = 11.0
# A reader can tell at most this many line styles apart.
MOST_SERIES = 4

_TOP = 8.0
_RIGHT = 14.0
_BOTTOM = 38.0
# Mean advance of a letter of the system fonts, as a share of the font size.
_ADVANCE = 0.58

_FRAME = """{% for y in horizontal %}
<path class="grid" d="M{{ left }} {{ y }}H{{ right }}"/>
{% endfor %}
{% for x in vertical %}
<path class="grid" d="M{{ x }} {{ top }}V{{ bottom }}"/>
{% endfor %}
{% for mark in marks %}
{{ mark }}
{% endfor %}
<path class="axis" d="M{{ left }} {{ bottom }}H{{ right }}"/>
{% for x, text, anchor in x_ticks %}
<text x="{{ x }}" y="{{ tick_y }}" text-anchor="{{ anchor }}">{{ text }}</text>
{% endfor %}
{% for y, text in y_ticks %}
<text x="{{ tick_x }}" y="{{ y }}" text-anchor="end">{{ text }}</text>
{% endfor %}
<text class="quiet" x="{{ middle_x }}" y="{{ label_y }}" text-anchor="middle">{{ x_label }}</text>
<text class="quiet" transform="translate(11 {{ middle_y }}) rotate(-90)" \
text-anchor="middle">{{ y_label }}</text>"""
_FIGURE = """<figure class="chart"><figcaption>{{ title }}</figcaption>
{% if legend %}
<ul class="legend">
{% for label in legend %}
<li><svg viewBox="0 0 24 10" aria-hidden="true"><path class="line s{{ loop.index }}" \
d="M0 5H24"/></svg>{{ label }}</li>
{% endfor %}
</ul>
{% endif %}
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="{{ alt }}">
{{ drawing }}
</svg>
</figure>"""


@dataclass(frozen=True)
class Frame:
    """The area between two axes.

    Attributes:
        x: the horizontal axis.
        y: the vertical axis.
    """

    x: Axis
    y: Axis

    @property
    def left(self) -> float:
        """Where the area starts: right of the label and of the widest number."""
        return 24.0 + max((text_width(text) for _, text in self.y.ticks), default=0.0)

    def across(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Horizontal coordinates of values, float64 [N]."""
        return self.left + self.x.place(values) * (WIDTH - _RIGHT - self.left)

    def down(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Vertical coordinates of values, float64 [N]."""
        return HEIGHT - _BOTTOM - self.y.place(values) * (HEIGHT - _BOTTOM - _TOP)

    def draw(
        self, marks: Sequence[Markup], x_label: str, y_label: str, upright: bool = True
    ) -> Markup:
        """The grid, the marks over it, and the axes with their labels.

        Args:
            marks: SVG elements.
            x_label: with its unit.
            y_label: with its unit.
            upright: whether the grid has upright lines.
        """
        left, right, bottom = self.left, WIDTH - _RIGHT, HEIGHT - _BOTTOM
        x_centers = self.across([value for value, _ in self.x.ticks])
        y_centers = self.down([value for value, _ in self.y.ticks])
        x_ticks: list[tuple[str, str, str]] = []
        free = 0.0
        for center, (_, text) in zip(x_centers, self.x.ticks, strict=True):
            # A wide last label would leave the drawing if it stood centered.
            over = center + text_width(text) / 2 > WIDTH
            start = (WIDTH if over else center) - text_width(text) / (1 if over else 2)
            if start < free:
                continue  # it would run into the label before it
            free = start + text_width(text) + 3
            x_ticks.append((tenth(WIDTH if over else center), text, "end" if over else "middle"))
        return fill(
            _FRAME,
            left=tenth(left),
            right=tenth(right),
            top=tenth(_TOP),
            bottom=tenth(bottom),
            horizontal=[tenth(y) for y in y_centers],
            vertical=[tenth(x) for x in x_centers] if upright else [],
            marks=marks,
            x_ticks=x_ticks,
            y_ticks=[
                (tenth(y + LETTER * 0.35), text)
                for y, (_, text) in zip(y_centers, self.y.ticks, strict=True)
            ],
            tick_x=tenth(left - 6),
            # Low enough for the first one not to touch the lowest number beside the other axis.
            tick_y=tenth(bottom + 17),
            label_y=tenth(HEIGHT - 4),
            middle_x=tenth((left + right) / 2),
            middle_y=tenth((_TOP + bottom) / 2),
            x_label=x_label,
            y_label=y_label,
        )


def figure(
    title: str, alt: str, drawing: Markup, legend: Sequence[str] = (), height: float = HEIGHT
) -> Markup:
    """The drawing as an HTML `<figure>`.

    Args:
        title: the caption above the drawing.
        alt: what a reader who does not see the drawing should know.
        drawing: SVG elements.
        legend: labels of the series in order; none for a single one.
        height: of the drawing, in its units.

    Raises:
        ValueError: there are more labels than line styles.
    """
    if len(legend) > MOST_SERIES:
        raise ValueError(f"a chart must have at most {MOST_SERIES} series, got {len(legend)}")
    return fill(
        _FIGURE,
        title=title,
        alt=alt,
        drawing=drawing,
        legend=list(legend) if len(legend) > 1 else [],
        width=tenth(WIDTH),
        height=tenth(height),
    )


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Path data through the points, without those that lie on a straight line with both neighbors.

    A staircase of thousands of equal steps then costs no more than its corners.

    Args:
        x: coordinates float [N].
        y: coordinates float [N].
    """
    points = np.rint(np.stack([x, y], axis=1) * 10).astype(np.int64)
    if len(points) > 2:
        steps = np.diff(points, axis=0)
        points = points[np.concatenate([[True], np.any(steps != 0, axis=1)])]
        steps = np.diff(points, axis=0)
        turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
        back = np.sum(steps[:-1] * steps[1:], axis=1) < 0
        points = points[np.concatenate([[True], turns | back, [True]])[: len(points)]]
    if len(points) == 1:
        # A line of no length: its round ends make it a dot.
        points = np.repeat(points, 2, axis=0)
    return "M" + "L".join(f"{tenth(px / 10)} {tenth(py / 10)}" for px, py in points.tolist())


def tenth(value: float) -> str:
    """A coordinate as text: `12.0` is `12`, `12.34` is `12.3`."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def text_width(text: str) -> float:
    """About how many units the text takes."""
    return len(text) * LETTER * _ADVANCE


def shorten(text: str, width: float) -> str:
    """The text, cut with an ellipsis to about that many units."""
    most = max(int(width / (LETTER * _ADVANCE)), 2)
    return text if len(text) <= most else text[: most - 1] + "…"
