"""Renders one synthetic face.

A face here is a set of numbers (how wide the jaw is, where the brows lie, which color the hair has)
drawn from a generator keyed by a seed, and painted as a cartoon with filled curves; it is made from
no photo and shows no real person.

The same seed, indexes and size give the same pixels in every process. Between versions of numpy or
OpenCV single pixels may differ.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.geometry import expressive_controls
from facemill.pipelines.synthesize.faces.identity import Identity, draw_identity
from facemill.pipelines.synthesize.faces.outlines import CONTROLS, trace
from facemill.pipelines.synthesize.faces.painting import Brush, paint_face
from facemill.pipelines.synthesize.faces.scene import Scene, draw_scene
from facemill.pipelines.synthesize.faces.surroundings import backdrop, expose, illuminate

_OVERSAMPLING = 2
_STILL = slice(CONTROLS["shoulders"].start, CONTROLS["shoulders"].stop)

DEFAULT_QUALITY = 92


@functools.lru_cache(maxsize=64)
def _person(seed: int, identity_index: int) -> tuple[Identity, np.ndarray]:
    identity = draw_identity(seed, identity_index)
    return identity, expressive_controls(identity)


def render(seed: int, identity_index: int, image_index: int, size: int = 112) -> np.ndarray:
    """Returns one image of one identity.

    Args:
        seed: 0 to 2**64 - 1; another seed is another population.
        identity_index: Which identity, from 0.
        image_index: Which of its images, from 0.
        size: Side in pixels, 16 or more.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    return render_scene(seed, identity_index, draw_scene(seed, identity_index, image_index), size)


def render_scene(seed: int, identity_index: int, scene: Scene, size: int = 112) -> np.ndarray:
    """Returns an identity in a scene of the caller's, for images that differ in one thing alone.

    Args:
        seed: see `render`.
        identity_index: see `render`.
        scene: of `draw_scene`, with changes.
        size: see `render`.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    identity, controls = _person(seed, identity_index)
    side = size * _OVERSAMPLING
    canvas = backdrop(scene, side)
    brush = Brush(canvas, _project(controls, scene) * side, scene.scale * side)
    paint_face(brush, identity, scene)
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(expose(illuminate(image, scene), scene), cv2.COLOR_BGR2RGB)


def encode_jpeg(pixels: np.ndarray, quality: int = DEFAULT_QUALITY) -> bytes:
    """Returns uint8 [height, width, 3] RGB pixels as a JPEG of this quality (1 to 100)."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _project(controls: np.ndarray, scene: Scene) -> np.ndarray:
    """Returns the points of all outlines, complex64 [points], as shares of the image's side."""
    shape = np.einsum("e,ecd->dc", scene.expression, controls)
    sideways, nod = np.exp(1j * scene.yaw), np.exp(1j * scene.pitch)
    roll = np.exp(1j * scene.roll)
    x = roll * complex(sideways.real, -sideways.imag * nod.imag)
    y = roll * complex(0, nod.real)
    z = roll * complex(sideways.imag, nod.imag)
    flat = (x * shape[0] + y * shape[1] + z * shape[2]).astype(np.complex64)
    flat[_STILL] = shape[0, _STILL] + 1j * shape[1, _STILL]  # the body does not turn with the head
    return trace(flat * np.float32(scene.scale) + np.complex64(complex(*scene.shift)))
