"""Charts as inline SVG: the same data gives the same bytes, and no two share an id.

matplotlib is imported inside the functions: it costs most of a second, and a command that
draws nothing must not pay it.
"""

import hashlib
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from transforms.report import svg
from transforms.report.markup import Markup, fill

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scale = Literal["linear", "log", "normal"]

# In inches of 72 units: narrow, so that 9-unit letters are still legible at phone width.
_SIZE = (4.5, 3.1)
_DASHES = ("-", "--", "-.", ":")
_NORMAL = statistics.NormalDist()
_NORMAL_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 0.9999)
_CHARTS = """<div class="charts">
{% for chart in charts %}
{{ chart }}
{% endfor %}
</div>"""


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
    """Curves over common axes.

    Args:
        title: shown above; with the data it names the chart, so that ids are its own.
        x_label: the axis, with its unit.
        y_label: the same.
        series: at most four; told apart by color and by dashes.
        alt: what a reader who does not see the chart should know.
        x_scale: "normal" is the normal deviate (probit) scale of DET curves, for values
            strictly between 0 and 1; points outside are left out, as "log" leaves out
            those that are not positive.
        y_scale: the same.

    Raises:
        ValueError: more than four series.
    """
    if len(series) > len(_DASHES):
        raise ValueError(f"a chart must have at most {len(_DASHES)} series, got {len(series)}")
    curves = [_placed(item, x_scale, y_scale) for item in series]
    key = _key("line", title, x_label, y_label, x_scale, y_scale)
    for item, (x, y) in zip(series, curves, strict=True):
        key.update(item.label.encode("utf-8", "backslashreplace") + x.tobytes() + y.tobytes())
    with _figure(key.hexdigest()) as (figure, axes):
        for index, (item, (x, y)) in enumerate(zip(series, curves, strict=True)):
            axes.plot(x, y, _DASHES[index], color=svg.SERIES[index], label=_clean(item.label))
        _scale_axis(axes, "x", x_scale, [x for x, _ in curves])
        _scale_axis(axes, "y", y_scale, [y for _, y in curves])
        return _finish(figure, axes, key.hexdigest(), title, x_label, y_label, alt, len(series) > 1)


def histogram(
    title: str,
    x_label: str,
    y_label: str,
    samples: Sequence[Sample],
    alt: str,
    bins: int = 40,
    limits: tuple[float, float] | None = None,
    share: bool = False,
    log_counts: bool = False,
) -> Markup:
    """Histograms over common bins.

    Args:
        title: shown above.
        x_label: the axis, with its unit.
        y_label: the same.
        samples: at most four.
        alt: what a reader who does not see the chart should know.
        bins: number of bins of equal width.
        limits: (low, high) of the bins; by default the range of the data.
        share: heights are shares of each sample rather than counts.
        log_counts: a logarithmic y axis, for long-tailed counts.

    Raises:
        ValueError: more than four samples.
    """
    if len(samples) > len(_DASHES):
        raise ValueError(f"a chart must have at most {len(_DASHES)} samples, got {len(samples)}")
    arrays = [np.asarray(sample.values, np.float64).ravel() for sample in samples]
    filled = [array for array in arrays if array.size]
    if limits is None:
        limits = (
            (min(float(a.min()) for a in filled), max(float(a.max()) for a in filled))
            if filled
            else (0.0, 1.0)
        )
    edges = np.histogram_bin_edges(np.zeros(0), bins=bins, range=limits)
    key = _key("histogram", title, x_label, y_label, share, log_counts)
    heights = []
    for sample, array in zip(samples, arrays, strict=True):
        counts = np.histogram(array, edges)[0].astype(np.float64)
        heights.append(counts / max(array.size, 1) if share else counts)
        key.update(sample.label.encode("utf-8", "backslashreplace") + heights[-1].tobytes())
    key.update(edges.tobytes())
    with _figure(key.hexdigest()) as (figure, axes):
        for index, (sample, height) in enumerate(zip(samples, heights, strict=True)):
            color = svg.SERIES[index]
            label = _clean(sample.label)
            axes.stairs(height, edges, fill=True, color=color, alpha=0.25, linewidth=0)
            axes.stairs(height, edges, color=color, linestyle=_DASHES[index], label=label)
        if log_counts:
            axes.set_yscale("log", nonpositive="clip")
            axes.yaxis.set_major_formatter(_plain_number)
            axes.yaxis.set_minor_formatter(lambda value, position: "")
        else:
            axes.set_ylim(bottom=0)
        several = len(samples) > 1
        return _finish(figure, axes, key.hexdigest(), title, x_label, y_label, alt, several)


def bars(
    title: str,
    x_label: str,
    y_label: str,
    labels: Sequence[str],
    values: Sequence[float],
    alt: str,
) -> Markup:
    """Horizontal bars, the first on top: `x_label` is the axis of the values.

    Raises:
        ValueError: labels and values differ in number.
    """
    if len(labels) != len(values):
        raise ValueError(f"labels and values must be equally many: {len(labels)}, {len(values)}")
    key = _key("bars", title, x_label, y_label, list(labels), [float(value) for value in values])
    places = np.arange(len(labels))
    with _figure(key.hexdigest()) as (figure, axes):
        drawn = axes.barh(places, values, color=svg.SERIES[0], height=0.65)
        axes.bar_label(drawn, [_plain_number(value) for value in values], padding=3, color=svg.INK)
        axes.set_yticks(places, [_clean(label) for label in labels])
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter(_plain_number)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(False, axis="y")
        return _finish(figure, axes, key.hexdigest(), title, x_label, y_label, alt, False)


def _key(*parts: object) -> "hashlib._Hash":
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace"))


def _clean(text: str) -> str:
    """Text that the SVG writer can encode (file names may hold lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain_number(value: float, position: int | None = None) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def _placed(series: Series, x_scale: Scale, y_scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(series.x, np.float64)
    y = np.asarray(series.y, np.float64)
    keep = np.isfinite(x) & np.isfinite(y)
    for values, scale in ((x, x_scale), (y, y_scale)):
        if scale != "linear":
            keep &= values > 0
        if scale == "normal":
            keep &= values < 1
    x, y = x[keep], y[keep]
    return _deviate(x, x_scale), _deviate(y, y_scale)


def _deviate(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale != "normal":
        return values
    return np.array([_NORMAL.inv_cdf(float(value)) for value in values], np.float64)


def _scale_axis(axes: "Axes", name: str, scale: Scale, values: Sequence[np.ndarray]) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    if scale == "log":
        axes.set(**{f"{name}scale": "log"})
        axis.set_major_formatter(_plain_number)
        axis.set_minor_formatter(lambda value, position: "")
    if scale == "normal":
        every = np.concatenate([*values, np.zeros(0)])
        low, high = (every.min(), every.max()) if every.size else (-1.0, 1.0)
        places = [_NORMAL.inv_cdf(tick) for tick in _NORMAL_TICKS]
        # One tick beyond the data on each side, so that an axis has at least two.
        first = max((i for i, place in enumerate(places) if place <= low), default=0)
        last = min((i for i, place in enumerate(places) if place >= high), default=len(places) - 1)
        shown = slice(first, last + 1)
        axis.set_ticks(places[shown], [f"{tick:.4g}" for tick in _NORMAL_TICKS[shown]])
        axes.set(**{f"{name}lim": (min(places[first], low), max(places[last], high))})


@contextmanager
def _figure(salt: str) -> Iterator[tuple["Figure", "Axes"]]:
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": svg.RULE,
        "axes.labelcolor": svg.INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": svg.RULE,
        "grid.linewidth": 0.6,
        "text.color": svg.INK,
        "xtick.color": svg.RULE,
        "ytick.color": svg.RULE,
        "xtick.labelcolor": svg.INK,
        "ytick.labelcolor": svg.INK,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
    }
    with matplotlib.rc_context():
        # The user's own matplotlibrc must not change a byte of a report.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        figure = Figure(figsize=_SIZE, layout="constrained")
        yield figure, figure.add_subplot()


def _finish(
    figure: "Figure",
    axes: "Axes",
    salt: str,
    title: str,
    x_label: str,
    y_label: str,
    alt: str,
    legend: bool,
) -> Markup:
    axes.set_xlabel(_clean(x_label))
    axes.set_ylabel(_clean(y_label))
    if legend:
        axes.legend(loc="best")
    # A common log or linear axis with non-finite limits would be drawn as nothing.
    assert all(math.isfinite(limit) for limit in (*axes.get_xlim(), *axes.get_ylim()))
    return svg.embed(figure, "c" + salt[:12], title, alt)
