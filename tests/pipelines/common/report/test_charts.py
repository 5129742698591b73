"""Charts: exact coordinates, no ids, the same bytes again."""

import re

import pytest

from facemill.pipelines.common.report import charts

CURVE = charts.Series("a", [0.0, 0.5, 1.0], [0.0, 0.8, 1.0])


def test_a_curve_goes_through_its_points() -> None:
    text = charts.line("t", "x", "y", [CURVE], "alt")
    (data,) = re.findall(r'class="line s1" d="M([^"]+)"', text)
    left = 24 + 3 * 11 * 0.58
    points = [[float(n) for n in point.split(" ")] for point in data.split("L")]
    assert points == [
        [round(left, 1), 202.0],
        [round((left + 346) / 2, 1), round(202 - 0.8 * 194, 1)],
        [346.0, 8.0],
    ]


def test_points_that_the_scale_cannot_show_are_left_out() -> None:
    curve = charts.Series("a", [0.0, 0.1, 0.2, 1.0], [0.5, 0.4, float("nan"), 0.0])
    text = charts.line("t", "x", "y", [curve], "alt", x_scale="normal", y_scale="normal")
    (data,) = re.findall(r'class="line s1 dot" d="M([^"]+)"', text)
    first, second = data.split("L")
    assert first == second


def test_charts_carry_no_id_and_repeat_byte_for_byte() -> None:
    def make() -> str:
        return charts.beside(
            [
                charts.line("t", "x", "y", [CURVE, CURVE], "alt"),
                charts.histogram("t", "x", "y", [charts.Sample("a", [1, 2, 2])], "alt"),
                charts.count_histogram("t", "x", "y", [charts.Sample("a", [1, 2, 2])], "alt"),
                charts.bars("t", ["a", "b"], [1, 2], "alt"),
            ]
        )

    text = make()
    assert make() == text
    assert " id=" not in text
    assert "nan" not in text
    assert "http" not in text


def test_labels_are_escaped() -> None:
    evil = "<b>&"
    drawn = [
        charts.line(evil, evil, evil, [charts.Series(evil, [0], [0])] * 2, evil),
        charts.count_histogram(evil, evil, evil, [charts.Sample(evil, [1])], evil),
        charts.bars(evil, [evil], [1], evil),
    ]
    for text in drawn:
        assert "<b>" not in text
        assert "&lt;b&gt;&amp;" in text


def test_steps_are_labeled_with_whole_numbers() -> None:
    def labels(x: list) -> list[str]:
        text = charts.line("t", "x", "y", [charts.Series("a", x, [0.0, 1.0, 0.0])], "alt")
        return re.findall(r'text-anchor="(?:middle|end)">([\d.]+)</text>', text)[:6]

    assert labels([1, 2, 3])[:3] == ["1", "2", "3"]
    assert "1.5" in labels([1.0, 2.0, 3.0])


def test_a_single_point_is_a_dot() -> None:
    one = charts.line("t", "x", "y", [charts.Series("a", [3], [0.7])], "alt")
    assert 'class="line s1 dot"' in one
    assert " dot" not in charts.line("t", "x", "y", [CURVE], "alt")


def test_count_classes_double() -> None:
    text = charts.count_histogram(
        "t", "x", "y", [charts.Sample("before", [1, 1, 2, 3, 4, 5, 8, 9])], "alt"
    )
    assert re.findall(r"<title>([^<]+)</title>", text) == [
        "before, 1: 2",
        "before, 2: 1",
        "before, 3–4: 2",
        "before, 5–8: 2",
        "before, 9–16: 1",
    ]


def test_bars_are_as_long_as_their_values_say() -> None:
    text = charts.bars("t", ["kept", "rejected", "none"], [1000, 500, 0], "alt")
    widths = [float(width) for width in re.findall(r'class="bar s1"[^>]* width="([\d.]+)"', text)]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[2] == 0
    assert ">1,000</text>" in text


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 4 series, got 5"):
        charts.line("t", "x", "y", [CURVE] * 5, "alt")
    with pytest.raises(ValueError, match="equally many: 1, 2"):
        charts.bars("t", ["a"], [1, 2], "alt")
    with pytest.raises(ValueError, match="not negative"):
        charts.bars("t", ["a"], [-1], "alt")


def test_in_place_of_a_chart_without_values_stands_a_sentence() -> None:
    for text in (
        charts.line("t", "x", "y", [], "alt"),
        charts.histogram("t", "x", "y", [charts.Sample("a", [])], "alt"),
        charts.count_histogram("t", "x", "y", [charts.Sample("a", [])], "alt"),
        charts.bars("t", [], [], "alt"),
        charts.bars("t", ["a"], [0], "alt"),
    ):
        assert "<svg" not in text
        assert "t: there is nothing to show." in text
