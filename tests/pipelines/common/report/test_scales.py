"""Axes: they hold their values, keep their order, and are labeled with round numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.common.report import scales

positive = st.floats(1e-6, 1e6)
signed = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
rates = st.floats(1e-4, 1 - 1e-4)
OF_SCALE = {"linear": signed, "log": positive, "normal": rates}


@st.composite
def cases(draw) -> tuple[str, list[float]]:
    """A scale and values that it can show."""
    scale = draw(st.sampled_from(sorted(OF_SCALE)))
    return scale, draw(st.lists(OF_SCALE[scale], min_size=1, max_size=9))


def texts(axis: scales.Axis) -> list[str]:
    return [text for _, text in axis.ticks]


def test_linear_ticks_are_round_numbers_that_hold_the_data() -> None:
    axis = scales.axis(np.array([0.03, 0.97]), "linear")
    assert (axis.low, axis.high) == (0.0, 1.0)
    assert texts(axis) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    steps = scales.axis(np.array([0.0, 12000.0]), "linear", whole=True)
    assert texts(steps) == ["0", "5,000", "10,000", "15,000"]
    assert texts(scales.axis(np.array([0.0, 2.0]), "linear", whole=True)) == ["0", "1", "2"]


def test_log_and_normal_ticks() -> None:
    log = scales.axis(np.array([1 / 3000, 1.0]), "log")
    assert texts(log) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert log.place([0.0001, 0.01, 1.0]).tolist() == [0.0, 0.5, 1.0]
    normal = scales.axis(np.array([0.02, 0.3]), "normal")
    assert texts(normal) == ["0.01", "0.05", "0.2", "0.5"]
    middle = scales.axis(np.array([0.05, 0.95]), "normal").place([0.5])
    assert middle.tolist() == pytest.approx([0.5])


def test_many_decades_have_labels_at_equal_strides() -> None:
    assert texts(scales.axis(np.array([1.0, 1e12]), "log")) == [
        "1",
        "1,000",
        "1,000,000",
        "1,000,000,000",
        "1,000,000,000,000",
    ]


@given(cases(), st.booleans())
def test_every_axis_holds_its_values_and_has_few_labels(case, whole: bool) -> None:
    scale, values = case
    axis = scales.axis(np.array(values), scale, whole=whole)
    slack = 1e-6 * max(abs(axis.low), abs(axis.high))
    assert axis.low < axis.high
    assert axis.low <= min(values) + slack
    assert axis.high >= max(values) - slack
    # Rates have eleven labels at most; the frame leaves out those that would touch.
    assert 2 <= len(axis.ticks) <= (11 if scale == "normal" else 7)
    assert np.all(np.diff(axis.place([value for value, _ in axis.ticks])) > 0)


@pytest.mark.moderate
@given(cases())
def test_positions_are_in_the_order_of_the_values_and_never_outside(case) -> None:
    scale, values = case
    axis = scales.axis(np.array(values), scale)
    positions = axis.place(sorted(values))
    assert np.all(np.diff(positions) >= 0)
    assert positions.min() >= 0
    assert positions.max() <= 1
    assert axis.place([axis.low, axis.high]).tolist() == [0, 1]


@given(st.lists(signed, min_size=1, max_size=9), st.booleans())
def test_linear_labels_are_one_two_or_five_times_a_power_of_ten_apart(values, whole: bool) -> None:
    axis = scales.axis(np.array(values), "linear", whole=whole)
    marks = np.array([value for value, _ in axis.ticks])
    steps = np.diff(marks)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    digit = steps[0] / 10 ** math.floor(math.log10(steps[0] * (1 + 1e-6)))
    assert min(abs(digit - round_one) for round_one in (1, 2, 5)) < 1e-4
    if whole:
        assert np.all(marks == np.rint(marks))


@given(st.floats(0.01, 0.99))
def test_the_normal_scale_is_symmetric_about_one_half(rate: float) -> None:
    axis = scales.axis(np.array([0.01, 0.99]), "normal")
    low, high = axis.place([rate, 1 - rate])
    assert low + high == pytest.approx(1, abs=1e-9)


@given(st.floats(1e-3, 1e3), st.floats(1.1, 10))
def test_on_a_log_scale_equal_ratios_are_equally_far_apart(value: float, ratio: float) -> None:
    axis = scales.axis(np.array([1e-6, 1e6]), "log")
    a, b, c = axis.place([value, value * ratio, value * ratio**2])
    assert b - a == pytest.approx(c - b, abs=1e-9)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=9))
@pytest.mark.parametrize("scale", sorted(OF_SCALE))
def test_drawable_values_have_finite_positions(scale: str, values: list) -> None:
    given_values = np.array(values)
    keep = scales.drawable(given_values, scale)
    limits = {"linear": (-1.0, 1.0), "log": (0.1, 1.0), "normal": (0.1, 0.9)}[scale]
    axis = scales.axis(np.zeros(0), scale, limits)
    assert np.all(np.isfinite(axis.place(given_values[keep])))
    assert not keep[~np.isfinite(given_values)].any()


def test_values_that_a_scale_cannot_show_are_not_drawable() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf])
    assert scales.drawable(values, "linear").tolist() == [True] * 5 + [False] * 2
    assert scales.drawable(values, "log").tolist() == [False] * 2 + [True] * 3 + [False] * 2
    assert scales.drawable(values, "normal").tolist() == [False] * 2 + [True] + [False] * 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.0, "1,234,567"), (0.25, "0.25"), (0.00001, "1e-05"), (0.0, "0"), (-3.0, "-3")],
)
def test_numbers_as_text(value: float, text: str) -> None:
    assert scales.plain_number(value) == text
