import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.pipelines.synthesize.faces.outlines import CONTROLS, OUTLINES, POINTS, stack, trace

COUNT = sum(outline.controls for outline in OUTLINES)


def _controls(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=COUNT) + 1j * random.normal(size=COUNT)).astype(np.complex64)


def test_curves_pass_through_their_controls():
    controls = _controls(0)
    points = trace(controls)
    for outline in OUTLINES:
        step = 1 if outline.name in ("spots", "pupils") else 4
        through = points[POINTS[outline.name]][::step]
        assert np.allclose(through, controls[CONTROLS[outline.name]], atol=1e-6), outline.name


def test_a_closed_curve_through_a_circle_stays_near_it():
    angles = np.arange(12) * np.pi / 6
    controls = np.zeros(COUNT, np.complex64)
    controls[CONTROLS["face"]] = np.exp(1j * angles)
    radii = np.abs(trace(controls)[POINTS["face"]])
    assert len(radii) == 48
    assert radii.min() > 0.99
    assert radii.max() < 1.001


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-3, 3), scale=st.floats(0.1, 10), x=st.floats(-5, 5), seed=st.integers(0, 99)
)
def test_moving_the_controls_moves_the_curve(angle, scale, x, seed):
    turn, shift = scale * np.exp(1j * angle), complex(x, -x / 2)
    controls = _controls(seed)
    moved = trace((turn * controls + shift).astype(np.complex64))
    assert np.allclose(moved, turn * trace(controls) + shift, atol=1e-4)


def test_stack_puts_each_outline_in_its_rows():
    matrix = stack({"nose": np.full((7, 3), 2.0)})
    assert matrix.shape == (COUNT, 3)
    assert (matrix[CONTROLS["nose"]] == 2).all()
    assert matrix.sum() == 42
