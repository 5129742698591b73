"""Drawing: coordinates in the frame, paths without needless points, labels without overlap."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.common.report import scales, svg
from facemill.pipelines.common.report.markup import Markup

points = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=12)


def parsed(data: str) -> list[tuple[float, ...]]:
    assert data.startswith("M")
    return [tuple(float(n) for n in point.split(" ")) for point in data[1:].split("L")]


def frame(x: list[float], y: list[float]) -> svg.Frame:
    return svg.Frame(
        scales.axis(np.array(x, float), "linear"), scales.axis(np.array(y, float), "linear")
    )


def test_a_staircase_costs_only_its_corners() -> None:
    x = np.repeat(np.arange(1000.0), 2)[1:]
    assert svg.path(x, np.zeros(x.size)) == "M0 0L999 0"
    assert svg.path(np.array([0.0, 1, 1, 2]), np.array([0.0, 0, 1, 1])) == "M0 0L1 0L1 1L2 1"
    assert svg.path(np.array([0.0, 5, 2]), np.zeros(3)) == "M0 0L5 0L2 0"


def test_a_single_point_is_a_line_of_no_length() -> None:
    assert svg.path(np.array([3.0]), np.array([4.0])) == "M3 4L3 4"


def _visited(corners: list[tuple[float, ...]]) -> list[tuple[float, float]]:
    """The points of a grid of tenths that a path visits, in order, each corner once."""
    found = [corners[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        steps = max(int(np.gcd(round(10 * (x1 - x0)), round(10 * (y1 - y0)))), 1)
        found += [
            (round(x0 + (x1 - x0) * n / steps, 1), round(y0 + (y1 - y0) * n / steps, 1))
            for n in range(1, steps + 1)
        ]
    return found


@pytest.mark.moderate
@given(points)
def test_a_path_visits_every_point_in_order_and_no_point_that_is_not_on_its_way(given_points):
    x, y = np.array(given_points, float).T / 10
    kept = parsed(svg.path(x, y))
    every = [
        one for n, one in enumerate(zip(x, y, strict=True)) if not n or one != (x[n - 1], y[n - 1])
    ]
    every = [(round(a, 1), round(b, 1)) for a, b in every]
    assert kept[0] == every[0]
    assert kept[-1] == every[-1]
    if len(every) > 1:
        assert _visited(kept) == _visited(every)


@given(points)
def test_no_point_of_a_path_can_be_left_out(given_points) -> None:
    kept = parsed(svg.path(*np.array(given_points, float).T))
    for (x0, y0), (x1, y1), (x2, y2) in zip(kept, kept[1:], kept[2:], strict=False):
        straight = (x1 - x0) * (y2 - y1) == (x2 - x1) * (y1 - y0)
        onward = (x1 - x0) * (x2 - x1) + (y1 - y0) * (y2 - y1) > 0
        assert not (straight and onward)


@given(st.floats(-1e6, 1e6))
def test_coordinates_are_tenths_without_a_needless_sign_or_zero(value: float) -> None:
    text = svg.tenth(value)
    assert float(text) == pytest.approx(value, abs=0.0501)
    assert re.fullmatch(r"-?\d+(\.[1-9])?", text)
    assert text != "-0"


@given(st.text(max_size=40), st.floats(13, 200))
def test_a_shortened_text_fits_and_begins_like_the_text(text: str, width: float) -> None:
    short = svg.shorten(text, width)
    assert svg.text_width(short) <= width
    if short == text:
        return
    assert svg.text_width(text) > width
    assert short.endswith("…")
    assert text.startswith(short[:-1])


@given(st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=8))
def test_coordinates_in_a_frame_are_between_its_edges(values: list) -> None:
    area = frame(values, values)
    x, y = area.across(sorted(values)), area.down(sorted(values))
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) <= 0)
    for low, found, high in ((area.left, x, svg.WIDTH), (0, y, svg.HEIGHT)):
        assert found.min() >= low - 1e-6
        assert found.max() <= high


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=8), st.booleans())
def test_labels_of_the_axis_stay_in_the_drawing_and_do_not_touch(values: list, whole: bool) -> None:
    area = svg.Frame(
        scales.axis(np.array(values), "linear", whole=whole), scales.axis(np.array([0.0]), "linear")
    )
    drawing = area.draw([], "x", "y")
    labels = re.findall(r'<text x="([\d.]+)" y="219" text-anchor="(\w+)">([^<]+)</text>', drawing)
    assert labels
    free = 0.0
    for x, anchor, text in labels:
        width = svg.text_width(text)
        start = float(x) - (width if anchor == "end" else width / 2)
        assert start >= free - 0.11
        free = start + width
        assert free <= svg.WIDTH + 0.11


def test_a_frame_makes_room_for_its_widest_number() -> None:
    assert frame([0, 1], [0, 1e6]).left > frame([0, 1], [0, 1]).left + 5 * svg.LETTER * 0.5


def test_upright_lines_can_be_left_out() -> None:
    area = frame([0, 1], [0, 1])
    assert "V" in "".join(re.findall(r'class="grid" d="([^"]+)"', area.draw([], "x", "y")))
    bare = area.draw([], "x", "y", upright=False)
    assert "V" not in "".join(re.findall(r'class="grid" d="([^"]+)"', bare))


def test_a_figure_has_a_legend_for_several_series_only() -> None:
    drawing = Markup("<path/>")
    assert "legend" not in svg.figure("t", "alt", drawing, ["a"])
    text = svg.figure("t", "what it shows", drawing, ["a", "<b>"])
    assert text.count("<li>") == 2
    assert "&lt;b&gt;" in text
    assert 'aria-label="what it shows"' in text
    with pytest.raises(ValueError, match="at most 4 series, got 5"):
        svg.figure("t", "alt", drawing, list("abcde"))
