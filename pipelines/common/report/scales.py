"""The axes of charts: the position of a value, and the values of the labels."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["linear", "log", "normal"]

_NORMAL = statistics.NormalDist()
_NORMAL_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 0.9999)
# More labels than this run into each other at phone width.
_MOST_TICKS = 6
_LEAST_RANGE = 1e-12


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        scale: how values become distances; "normal" is the normal deviate (probit) of a rate.
        low: the value at the start of the axis.
        high: the value at its end.
        ticks: (value, text) of each label.
    """

    scale: Scale
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Distances along the axis, float64 [N]: 0 is its start and 1 its end, never outside."""
        start, end = _distance(np.array([self.low, self.high]), self.scale)
        clipped = np.clip(np.asarray(values, np.float64), self.low, self.high)
        return (_distance(clipped, self.scale) - start) / (end - start)


def drawable(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Which values the scale can show, bool [N]: finite; positive on "log"; in (0, 1) on "normal".

    Args:
        values: float [N].
        scale: of the axis.
    """
    keep = np.isfinite(values)
    if scale != "linear":
        keep &= values > 0
    if scale == "normal":
        keep &= values < 1
    return keep


def axis(
    values: np.ndarray, scale: Scale, limits: tuple[float, float] | None = None, whole: bool = False
) -> Axis:
    """An axis that holds the values and ends on a label on both sides.

    Args:
        values: float [N], all drawable on the scale; may be empty.
        scale: of the axis.
        limits: (low, high) instead of the range of the values.
        whole: labels are whole numbers (counts, steps).
    """
    if limits is None:
        limits = (float(values.min()), float(values.max())) if values.size else (0.1, 0.9)
    low, high = limits
    if scale == "log":
        return _log(low, high)
    if scale == "normal":
        return _normal(low, high)
    return _linear(low, high, whole)


def plain_number(value: float) -> str:
    """`1234567.0` is `1,234,567`, `0.25` is `0.25`, `0.00001` is `1e-05`."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def _distance(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "log":
        return np.log10(values)
    if scale == "normal":
        return np.array([_NORMAL.inv_cdf(float(value)) for value in values], np.float64)
    return values


def _linear(low: float, high: float, whole: bool) -> Axis:
    # A range of the size of rounding errors has no labels that differ.
    if high - low <= _LEAST_RANGE * max(1.0, abs(low), abs(high)):
        low, high = low - (0.5 if low else 0), high + 0.5
    step = _step((high - low) / (_MOST_TICKS - 1), whole)
    # The slack keeps an end that is on a label from getting another label beyond it.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # `step` is a power of ten times 1, 2 or 5: twelve digits drop only the rounding error.
    marks = [float(f"{index * step:.12g}") for index in range(first, last + 1)]
    return Axis("linear", marks[0], marks[-1], _labels(marks))


def _step(least: float, whole: bool) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
    return max(step, 1.0) if whole else step


def _log(low: float, high: float) -> Axis:
    first = math.floor(math.log10(low) + 1e-9)
    last = max(math.ceil(math.log10(high) - 1e-9), first + 1)
    stride = math.ceil((last - first) / (_MOST_TICKS - 1))
    marks = [float(f"1e{power}") for power in range(first, last + 1, stride)]
    return Axis("log", float(f"1e{first}"), float(f"1e{last}"), _labels(marks))


def _normal(low: float, high: float) -> Axis:
    # One label beyond the values on each side, so that there are at least two.
    first = max((i for i, tick in enumerate(_NORMAL_TICKS) if tick <= low), default=0)
    last = min(
        (i for i, tick in enumerate(_NORMAL_TICKS) if tick >= high), default=len(_NORMAL_TICKS) - 1
    )
    if first == last:
        first, last = max(first - 1, 0), min(last + 1, len(_NORMAL_TICKS) - 1)
    marks = list(_NORMAL_TICKS[first : last + 1])
    return Axis("normal", min(marks[0], low), max(marks[-1], high), _labels(marks))


def _labels(marks: Sequence[float]) -> tuple[tuple[float, str], ...]:
    return tuple((mark, plain_number(mark)) for mark in marks)
