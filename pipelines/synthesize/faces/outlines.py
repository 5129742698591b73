"""The outlines a face is drawn with, as smooth curves through a few control points.

Every face has the same outlines with the same number of control points. A curve is a fixed linear
map of its controls (Catmull and Rom, 1974, "A class of local interpolating splines", the uniform
cubic with tension 1/2), so all curves of a face come out of one sum. Points of the image plane
are complex numbers: to turn the head is to multiply.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_POINTS_PER_CONTROL = 4


@dataclasses.dataclass(frozen=True)
class Outline:
    """One curve: its name, its number of control points and whether it returns to its start."""

    name: str
    controls: int
    closed: bool = True


OUTLINES = (
    Outline("shoulders", 8),
    Outline("neck", 4),
    Outline("hair_back", 12),
    Outline("ear_left", 6),
    Outline("ear_right", 6),
    Outline("face", 12),
    Outline("face_lit", 12),
    Outline("beard", 12),
    Outline("cheek_left", 4),
    Outline("cheek_right", 4),
    Outline("socket_left", 6),
    Outline("socket_right", 6),
    Outline("eye_left", 8),
    Outline("eye_right", 8),
    Outline("lid_left", 5, closed=False),
    Outline("lid_right", 5, closed=False),
    Outline("brow_left", 8),
    Outline("brow_right", 8),
    Outline("nose", 7),
    Outline("nostrils", 5, closed=False),
    Outline("mustache", 8),
    Outline("lips", 10),
    Outline("mouth", 10),
    Outline("hair_front", 16),
    Outline("lens_left", 8),
    Outline("lens_right", 8),
    Outline("bridge", 3, closed=False),
    Outline("temple_left", 2, closed=False),
    Outline("temple_right", 2, closed=False),
    Outline("scarf", 10),
    Outline("spots", 9, closed=False),
    Outline("pupils", 2, closed=False),
)
"""In the order of the rows of the control matrix, not in the order of painting."""


def _curve(controls: int, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each point of a curve, the four controls it depends on and their weights.

    Both have the shape [4, points].
    """
    spans = controls if closed else controls - 1
    steps = np.arange(spans * _POINTS_PER_CONTROL + (0 if closed else 1))
    span, rest = np.divmod(steps, _POINTS_PER_CONTROL)
    u = rest / _POINTS_PER_CONTROL
    near = span + np.array([[-1], [0], [1], [2]])
    near = near % controls if closed else near.clip(0, controls - 1)
    weights = np.stack(
        [
            (-u + 2 * u**2 - u**3) / 2,
            (2 - 5 * u**2 + 3 * u**3) / 2,
            (u + 4 * u**2 - 3 * u**3) / 2,
            (-(u**2) + u**3) / 2,
        ]
    )
    return near, weights


def _dots(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the same for controls that are single points and not a curve."""
    return np.tile(np.arange(count), (4, 1)), np.repeat([[1.0], [0], [0], [0]], count, 1)


def _layout() -> tuple[dict[str, slice], dict[str, slice], np.ndarray, np.ndarray]:
    controls: dict[str, slice] = {}
    points: dict[str, slice] = {}
    nears, weights = [], []
    row = column = 0
    for outline in OUTLINES:
        if outline.name in ("spots", "pupils"):
            near, weight = _dots(outline.controls)
        else:
            near, weight = _curve(outline.controls, outline.closed)
        controls[outline.name] = slice(column, column + outline.controls)
        points[outline.name] = slice(row, row + near.shape[1])
        nears.append(near + column)
        weights.append(weight)
        row += near.shape[1]
        column += outline.controls
    return controls, points, np.hstack(nears), np.hstack(weights).astype(np.float32)


CONTROLS, POINTS, _NEAR, _WEIGHTS = _layout()
"""Rows of an outline's controls among all controls, and of its points among all points."""


def trace(controls: np.ndarray) -> np.ndarray:
    """Returns the points of all outlines, complex64 [points], from complex64 [controls]."""
    return (_WEIGHTS * controls[_NEAR]).sum(0)


def stack(shapes: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the given outlines as float32 [controls, 3]; the others are zero."""
    matrix = np.zeros((sum(outline.controls for outline in OUTLINES), 3), np.float32)
    for name, shape in shapes.items():
        matrix[CONTROLS[name]] = shape
    return matrix
