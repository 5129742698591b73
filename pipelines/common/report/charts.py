"""Charts as inline SVG: curves, histograms and bars. The same data gives the same bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.pipelines.common.report import svg
from facemill.pipelines.common.report.markup import Markup, fill
from facemill.pipelines.common.report.scales import Axis, Scale, axis, drawable, plain_number

_CHARTS = """<div class="charts">
{% for chart in charts %}
{{ chart }}
{% endfor %}
</div>"""
_LINE = '<path class="line s{{ style }}" d="{{ data }}"/>'
_AREA = '<path class="area s{{ style }}" d="{{ data }}"/>'
# In place of a chart that would be empty.
_NOTHING = '<p class="quiet">{{ title }}: there is nothing to show.</p>'
_COLUMN = (
    '<rect class="bar s{{ style }}" x="{{ x }}" y="{{ y }}" width="{{ width }}" '
    'height="{{ height }}"><title>{{ said }}</title></rect>'
)
_BAR_TEXT = (
    '<text x="{{ label_x }}" y="{{ y }}" text-anchor="end"><title>{{ full }}</title>'
    '{{ label }}</text><text x="{{ value_x }}" y="{{ y }}">{{ value }}</text>'
)
_BINS = 40
_BAR_PITCH = 24.0


@dataclass(frozen=True)
class Series:
    """One curve: label, x float [N], y float [N]."""

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Sample:
    """One histogram's values: label, values float [N]."""

    label: str
    values: Sequence[float] | np.ndarray


def beside(charts: Sequence[Markup]) -> Markup:
    """Charts side by side where the page is wide enough, one under the other on a phone."""
    return fill(_CHARTS, charts=charts)


def line(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    alt: str,
    x_scale: Scale = "linear",
    y_scale: Scale = "linear",
) -> Markup:
    """Curves over common axes; of whole numbers (steps), the x axis has whole labels.

    Args:
        title: shown above.
        x_label: the axis, with its unit.
        y_label: the same.
        series: at most four; they differ in color and in dashes.
        alt: what a reader who does not see the chart should know.
        x_scale: "normal" is the normal deviate (probit) scale of DET curves, for values
            strictly between 0 and 1; points outside are left out, as "log" leaves out
            those that are not positive, and every scale those that are not finite.
        y_scale: the same.

    Raises:
        ValueError: more than four series.
    """
    curves = []
    for item in series:
        x, y = np.asarray(item.x, np.float64), np.asarray(item.y, np.float64)
        keep = drawable(x, x_scale) & drawable(y, y_scale)
        curves.append((x[keep], y[keep]))
    every_x = np.concatenate([x for x, _ in curves] or [np.zeros(0)])
    if not every_x.size:
        return fill(_NOTHING, title=title)
    every_y = np.concatenate([y for _, y in curves] or [np.zeros(0)])
    whole = all(np.asarray(item.x).dtype.kind == "i" for item in series)
    frame = svg.Frame(axis(every_x, x_scale, whole=whole), axis(every_y, y_scale))
    marks = [
        fill(
            _LINE,
            style=style if x.size > 1 else f"{style} dot",
            data=svg.path(frame.across(x), frame.down(y)),
        )
        for style, (x, y) in enumerate(curves, start=1)
        if x.size
    ]
    drawing = frame.draw(marks, x_label, y_label)
    return svg.figure(title, alt, drawing, [item.label for item in series])


def histogram(
    title: str,
    x_label: str,
    y_label: str,
    samples: Sequence[Sample],
    alt: str,
    share: bool = False,
) -> Markup:
    """Histograms over common bins of equal width; values that are not finite are left out.

    Args:
        title: shown above.
        x_label: the axis, with its unit.
        y_label: the same.
        samples: at most four.
        alt: what a reader who does not see the chart should know.
        share: heights are shares of each sample rather than counts.

    Raises:
        ValueError: more than four samples.
    """
    arrays = [np.asarray(sample.values, np.float64).ravel() for sample in samples]
    arrays = [array[np.isfinite(array)] for array in arrays]
    every = np.concatenate([*arrays, np.zeros(0)])
    if not every.size:
        return fill(_NOTHING, title=title)
    edges = np.histogram_bin_edges(every, _BINS)
    heights = []
    for array in arrays:
        counts = np.histogram(array, edges)[0].astype(np.float64)
        heights.append(counts / max(array.size, 1) if share else counts)
    highest = max(float(height.max()) for height in heights) or 1.0
    upright = axis(np.zeros(0), "linear", (0.0, highest), whole=not share)
    frame = svg.Frame(axis(edges, "linear"), upright)
    marks = []
    for style, height in enumerate(heights, start=1):
        outline = np.concatenate([[frame.y.low], np.repeat(height, 2), [frame.y.low]])
        data = svg.path(
            frame.across(np.repeat(edges, 2)), frame.down(np.maximum(outline, frame.y.low))
        )
        marks.append(fill(_AREA + _LINE, style=style, data=data))
    drawing = frame.draw(marks, x_label, y_label)
    return svg.figure(title, alt, drawing, [sample.label for sample in samples])


def count_histogram(
    title: str,
    x_label: str,
    y_label: str,
    samples: Sequence[Sample],
    alt: str,
) -> Markup:
    """Long-tailed whole numbers in classes 1, 2, 3-4, 5-8, 9-16, ...: columns side by side.

    The y axis is logarithmic.

    Args:
        title: shown above.
        x_label: what is counted ("images of an identity").
        y_label: what has that count ("identities").
        samples: at most four; whole numbers, those below 1 are left out.
        alt: what a reader who does not see the chart should know.

    Raises:
        ValueError: more than four samples.
    """
    arrays = [np.asarray(sample.values).ravel() for sample in samples]
    arrays = [array[array >= 1] for array in arrays]
    if not any(array.size for array in arrays):
        return fill(_NOTHING, title=title)
    largest = max(int(array.max()) for array in arrays if array.size)
    tops = [1 << power for power in range((largest - 1).bit_length() + 1)]
    names = [f"{top // 2 + 1}–{top}" if top > 2 else str(top) for top in tops]
    heights = [
        np.bincount(np.searchsorted(tops, array), minlength=len(tops)).astype(np.float64)
        for array in arrays
    ]
    # Where the names would overlap, only every `stride`-th is shown, counted from the last.
    pitch = 290 / len(names)
    stride = math.ceil(max(svg.text_width(name) + 8 for name in names) / pitch)
    ticks = tuple(
        (float(index), name if (len(names) - 1 - index) % stride == 0 else "")
        for index, name in enumerate(names)
    )
    frame = svg.Frame(
        Axis("linear", -0.5, len(tops) - 0.5, ticks), _log_counts(np.concatenate(heights))
    )
    marks = []
    for index, name in enumerate(names):
        sides = frame.across(np.linspace(index - 0.4, index + 0.4, len(samples) + 1))
        for style, (sample, height) in enumerate(zip(samples, heights, strict=True), start=1):
            if not height[index]:
                continue
            top, bottom = frame.down([height[index], frame.y.low])
            marks.append(
                fill(
                    _COLUMN,
                    style=style,
                    x=svg.tenth(sides[style - 1]),
                    y=svg.tenth(top),
                    width=svg.tenth(sides[style] - sides[style - 1]),
                    height=svg.tenth(bottom - top),
                    said=f"{sample.label}, {name}: {plain_number(height[index])}",
                )
            )
    drawing = frame.draw(marks, x_label, y_label, upright=False)
    return svg.figure(title, alt, drawing, [sample.label for sample in samples])


def bars(title: str, labels: Sequence[str], values: Sequence[float], alt: str) -> Markup:
    """Horizontal bars, the first on top, each with its value written beside it.

    Args:
        title: shown above; says what the values are.
        labels: a long one is cut; all of it shows under the pointer.
        values: not negative.
        alt: what a reader who does not see the chart should know.

    Raises:
        ValueError: labels and values differ in number, or a value is negative or not finite.
    """
    if len(labels) != len(values):
        raise ValueError(f"labels and values must be equally many: {len(labels)}, {len(values)}")
    if not all(0 <= value < float("inf") for value in values):
        raise ValueError(f"values must be finite and not negative, got {list(values)!r}")
    if not any(values):
        return fill(_NOTHING, title=title)
    shown = [plain_number(value) for value in values]
    short = [svg.shorten(label, svg.WIDTH * 0.4) for label in labels]
    start = max((svg.text_width(label) for label in short), default=0.0) + 8
    room = svg.WIDTH - start - max((svg.text_width(text) for text in shown), default=0.0) - 8
    largest = max(values, default=0) or 1
    parts = []
    for index, (label, value, text) in enumerate(zip(labels, values, shown, strict=True)):
        top, width = index * _BAR_PITCH, room * value / largest
        said = f"{label}: {text}"
        parts.append(
            fill(
                _COLUMN,
                style=1,
                x=svg.tenth(start),
                y=svg.tenth(top + 3),
                # A value that is not zero must be seen not to be zero.
                width=svg.tenth(max(width, 1.0) if value else 0.0),
                height=svg.tenth(_BAR_PITCH - 6),
                said=said,
            )
        )
        parts.append(
            fill(
                _BAR_TEXT,
                label_x=svg.tenth(start - 6),
                value_x=svg.tenth(start + width + 6),
                y=svg.tenth(top + _BAR_PITCH / 2 + svg.LETTER * 0.35),
                full=label,
                label=short[index],
                value=text,
            )
        )
    return svg.figure(title, alt, Markup("\n").join(parts), height=_BAR_PITCH * len(labels))


def _log_counts(counts: np.ndarray) -> Axis:
    decades = axis(counts[counts > 0], "log") if counts.any() else axis(np.ones(1), "log")
    # It starts below the lowest label, so that a column of one differs from an empty one.
    return Axis("log", decades.low / 2, decades.high, decades.ticks)
