"""What lies behind and over a face: the backdrop, the light and the grain."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.scene import Scene

_FIELD_SIDE = 512
_LIGHT_SIDE = 8
_UNIT_GAIN = 96  # the gray level of the light field that leaves a pixel as it is

_ramp = np.linspace(0, 1, 256)
_SMOOTH = np.stack(
    [np.clip(1 - 2 * _ramp, 0, 1), 1 - np.abs(2 * _ramp - 1), np.clip(2 * _ramp - 1, 0, 1)], 1
)
_EDGED = np.stack([_ramp < 0.42, (_ramp >= 0.42) & (_ramp < 0.58), _ramp >= 0.58], 1).astype(float)
"""How much of each of three backdrop colors a level of the field gets, float64 [256, 3]."""

_axis = np.linspace(-1, 1, _LIGHT_SIDE)
_X, _Y = np.meshgrid(_axis, _axis)


@functools.cache
def _field() -> np.ndarray:
    """Returns the smooth noise all backdrops are cut from: uint8 [512, 512], the same always."""
    random = np.random.Generator(np.random.Philox(key=[20, 26]))
    field = np.zeros((_FIELD_SIDE, _FIELD_SIDE), np.float32)
    for octave, weight in ((6, 1.0), (13, 0.7), (29, 0.35), (67, 0.15)):
        coarse = random.standard_normal((octave, octave)).astype(np.float32)
        field += weight * cv2.resize(coarse, field.shape, interpolation=cv2.INTER_CUBIC)
    ranks = np.empty(field.size, np.float32)
    ranks[np.argsort(field, axis=None, kind="stable")] = np.linspace(0, 255, field.size)
    return ranks.reshape(field.shape).round().astype(np.uint8)


@functools.cache
def _grain(side: int) -> np.ndarray:
    """Returns the noise all images are cut from: uint8 [side, side, 3], mean 128, deviation 32."""
    random = np.random.Generator(np.random.Philox(key=[27, side]))
    noise = random.standard_normal((side, side, 3), np.float32)
    return np.clip(128 + 32 * noise, 0, 255).round().astype(np.uint8)


def backdrop(scene: Scene, side: int) -> np.ndarray:
    """Returns a fresh uint8 [side, side, 3] BGR canvas with the scene's backdrop on it."""
    left, top, zoom = scene.window
    width = int(90 + 250 * zoom)
    x, y = int(left * (_FIELD_SIDE - width)), int(top * (_FIELD_SIDE - width))
    part = cv2.resize(_field()[y : y + width, x : x + width], (side, side))
    weights = _EDGED if scene.hard else _SMOOTH
    table = (weights @ scene.backdrop[:, ::-1]).astype(np.uint8)
    return cv2.applyColorMap(part, table[:, None])


def illuminate(image: np.ndarray, scene: Scene) -> np.ndarray:
    """Returns the uint8 BGR image under the scene's light, exposure and color cast."""
    angle, strength = scene.light
    slope = 1 + strength * (np.cos(angle) * _X + np.sin(angle) * _Y)
    gains = _UNIT_GAIN * slope[..., None] * scene.gain[::-1]
    field = np.clip(gains, 0, 255).astype(np.uint8)
    field = cv2.resize(field, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(image, field, scale=1 / _UNIT_GAIN)


def expose(image: np.ndarray, scene: Scene) -> np.ndarray:
    """Returns the uint8 image [size, size, 3] with the scene's blur and grain."""
    size = len(image)
    sigma = scene.blur * size
    if sigma > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    left, top, deviation = scene.grain
    pool = _grain(size + 128)
    x, y = int(left * 128), int(top * 128)
    share = float(deviation) / 32
    return cv2.addWeighted(image, 1.0, pool[y : y + size, x : x + size], share, -128 * share)
