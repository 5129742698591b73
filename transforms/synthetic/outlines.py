"""The outlines a face is drawn with, as smooth curves through a few control points.

Every face has the same outlines with the same number of control points. A curve is a fixed linear
map of its controls (Catmull and Rom, 1974, "A class of local interpolating splines", the uniform
cubic with tension 1/2), so all curves of a face come out of one matrix product.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_SAMPLES_PER_CONTROL = 4


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


def _curve(controls: int, closed: bool) -> np.ndarray:
    """Returns the float32 matrix [samples, controls] that turns controls into points of the curve."""
    spans = controls if closed else controls - 1
    samples = spans * _SAMPLES_PER_CONTROL + (0 if closed else 1)
    matrix = np.zeros((samples, controls), np.float32)
    for row in range(samples):
        span, rest = divmod(row, _SAMPLES_PER_CONTROL)
        u = rest / _SAMPLES_PER_CONTROL
        weights = (
            (-u + 2 * u**2 - u**3) / 2,
            (2 - 5 * u**2 + 3 * u**3) / 2,
            (u + 4 * u**2 - 3 * u**3) / 2,
            (-(u**2) + u**3) / 2,
        )
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            index = span + offset
            index = index % controls if closed else min(max(index, 0), controls - 1)
            matrix[row, index] += weight
    return matrix


def _layout() -> tuple[dict[str, slice], dict[str, slice], np.ndarray]:
    controls: dict[str, slice] = {}
    points: dict[str, slice] = {}
    blocks = []
    row = column = 0
    for outline in OUTLINES:
        plain = outline.name in ("spots", "pupils")  # single places, not a curve
        block = (
            np.eye(outline.controls, dtype=np.float32)
            if plain
            else _curve(outline.controls, outline.closed)
        )
        controls[outline.name] = slice(column, column + outline.controls)
        points[outline.name] = slice(row, row + len(block))
        blocks.append(block)
        row += len(block)
        column += outline.controls
    matrix = np.zeros((row, column), np.float32)
    for outline, block in zip(OUTLINES, blocks, strict=True):
        matrix[points[outline.name], controls[outline.name]] = block
    return controls, points, matrix


CONTROLS, POINTS, CURVES = _layout()
"""Rows of an outline's controls, rows of its points, and the map [points, controls] between them."""


def stack(shapes: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the float32 control matrix [controls, 3] of the given outlines; the others are zero."""
    matrix = np.zeros((CURVES.shape[1], 3), np.float32)
    for name, shape in shapes.items():
        matrix[CONTROLS[name]] = shape
    return matrix
