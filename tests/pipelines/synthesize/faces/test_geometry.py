import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.features import EXPRESSIONS
from facemill.pipelines.synthesize.faces.geometry import expressive_controls
from facemill.pipelines.synthesize.faces.identity import draw_identity
from facemill.pipelines.synthesize.faces.outlines import CONTROLS

RIGHT_CORNER = CONTROLS["lips"].start + 6


@pytest.fixture
def controls() -> np.ndarray:
    return expressive_controls(draw_identity(1, 1))


def test_a_smile_lifts_the_corner_of_the_mouth_and_leaves_the_face(controls):
    smile = controls[1 + EXPRESSIONS.index("smile")]
    assert smile[RIGHT_CORNER, 1] == pytest.approx(-0.07)
    assert smile[RIGHT_CORNER, 0] > 0
    assert not smile[CONTROLS["face"]].any()
    assert not smile[CONTROLS["brow_left"]].any()


def test_raised_brows_rise(controls):
    lift = controls[1 + EXPRESSIONS.index("raise")]
    assert lift[CONTROLS["brow_left"], 1] == pytest.approx(-0.09)


def test_open_lids_make_the_eye_taller(controls):
    rest = controls[0, CONTROLS["eye_right"], 1]
    wide = rest + controls[1 + EXPRESSIONS.index("lids"), CONTROLS["eye_right"], 1]
    assert np.ptp(wide) > 1.3 * np.ptp(rest)


def test_the_nose_is_nearer_to_the_viewer_than_the_ears(controls):
    depth = controls[0, :, 2]
    assert depth[CONTROLS["nose"]].min() > 0.5
    assert depth[CONTROLS["ear_left"]].max() < 0


@pytest.mark.parametrize("name", ["eye", "brow", "ear", "lens"])
def test_a_face_at_rest_is_symmetric(controls, name):
    left, right = (controls[0, CONTROLS[f"{name}_{side}"]] for side in ("left", "right"))
    assert left == pytest.approx(right * (-1, 1, 1))


def test_identities_differ_in_shape_and_not_only_in_color():
    shapes = np.stack([expressive_controls(draw_identity(1, k))[0] for k in range(30)])
    spread = shapes.std(0)
    for name in ("face", "eye_left", "brow_left", "nose", "lips", "hair_front", "hair_back"):
        assert spread[CONTROLS[name], :2].max() > 0.02, name


def test_the_same_index_of_another_seed_is_another_identity():
    assert draw_identity(1, 1) == draw_identity(1, 1)
    assert draw_identity(1, 1).traits != draw_identity(2, 1).traits
