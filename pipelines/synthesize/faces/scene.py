"""What differs between images of one identity: pose, expression, light, covering, backdrop."""

from __future__ import annotations

import dataclasses

import numpy as np

from facemill.pipelines.synthesize.faces import keyed

_BARE, _GLASSES, _SUNGLASSES, _SCARF, _PATCH = 0.8, 0.91, 0.93, 0.965, 1.0
"""Upper bounds of each covering's share of the images."""

_EXPRESSION_LOW = np.array([-0.5, -0.7, -0.5, -0.5, -0.6], np.float32)
_EXPRESSION_HIGH = np.array([1.0, 1.0, 0.15, 1.0, 0.9], np.float32)


@dataclasses.dataclass(frozen=True)
class Scene:
    """The circumstances of one image. Colors are RGB, 0 to 255; shares are of the image's side.

    Attributes:
        yaw, pitch, roll: Radians.
        scale: Image sides per face unit.
        shift: Where the face's origin lies, as shares, [2].
        expression: float32 [6], 1 and then the weight of each of `features.EXPRESSIONS`.
        gaze: Shift of the pupils in face units, [2].
        light: Angle in radians, and how much brighter the lit side is (0 to 1).
        gain: Exposure and color cast, one factor per channel, [3].
        covering: "", "glasses", "sunglasses", "scarf" or "patch".
        patch: Center in face units and the two radii, [4].
        clothes, cover: Colors.
        backdrop: Three colors [3, 3], spread over a field of smooth noise.
        window: Left, top and size (0 to 1) of the part of that field that is seen.
        hard: Whether the backdrop has edges.
        grain: Left and top (0 to 1) in the pool of noise, and its standard deviation (0 to 255).
        blur: Standard deviation as a share; 0 for none.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    light: tuple[float, float]
    gain: np.ndarray
    covering: str
    patch: np.ndarray
    clothes: np.ndarray
    cover: np.ndarray
    backdrop: np.ndarray
    window: np.ndarray
    hard: bool
    grain: np.ndarray
    blur: float


def draw_scene(seed: int, identity_index: int, image_index: int) -> Scene:
    """Returns the circumstances of one image of one identity; indexes count from 0."""
    u = keyed.uniforms(seed, keyed.IMAGE, identity_index, image_index, 50)
    signed = 2 * u - 1
    expression = _EXPRESSION_LOW + (_EXPRESSION_HIGH - _EXPRESSION_LOW) * u[6:11]
    expression[1] = max(expression[1], 0.0)
    expression[4] = max(expression[4], 0.0)
    return Scene(
        yaw=float(signed[0]) * 0.36,
        pitch=float(signed[1]) * 0.2,
        roll=float(signed[2]) * 0.22,
        scale=0.29 + 0.08 * float(u[3]),
        shift=np.array([0.5, 0.51]) + signed[4:6] * 0.07,
        expression=np.concatenate([[1.0], expression]).astype(np.float32),
        gaze=signed[11:13] * (0.03, 0.015),
        light=(float(u[13]) * 2 * np.pi, 0.45 * float(u[14])),
        gain=(0.75 + 0.45 * u[15]) * (1 + 0.07 * signed[16:19]),
        covering=_covering(float(u[19])),
        patch=np.array([0.0, 0.35, 0.16, 0.16]) + (0.7, 0.6, 0.14, 0.14) * signed[20:24],
        clothes=_muted(30 + 210 * u[24:27]),
        cover=_muted(20 + 200 * u[27:30]),
        backdrop=_muted(15 + 230 * u[30:39].reshape(3, 3)),
        window=u[39:42],
        hard=bool(u[42] < 0.35),
        grain=u[43:46] * (1, 1, 7),
        blur=max(0.0, float(u[46]) - 0.4) * 0.014,
    )


def _muted(rgb: np.ndarray) -> np.ndarray:
    """Takes half of the color out of RGB values [..., 3]; loud ones are rare in photos."""
    return 0.5 * rgb + 0.5 * rgb.mean(-1, keepdims=True)


def _covering(number: float) -> str:
    bounds = (_BARE, _GLASSES, _SUNGLASSES, _SCARF, _PATCH)
    names = ("", "glasses", "sunglasses", "scarf", "patch")
    return next(name for bound, name in zip(bounds, names, strict=True) if number < bound)
