"""Puts the outlines of a face on a canvas, back to front."""

from __future__ import annotations

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.identity import Identity
from facemill.pipelines.synthesize.faces.outlines import POINTS
from facemill.pipelines.synthesize.faces.scene import Scene

_FRACTION_BITS = 4
_DARK = (34.0, 28.0, 30.0)
_WHITE = (246.0, 244.0, 240.0)


class Brush:
    """Draws named outlines of one image on a BGR canvas.

    Args:
        canvas: uint8 [side, side, 3], changed in place.
        points: complex64 [points], x + iy in pixels, in the order that `outlines.POINTS` gives.
        unit: Pixels per face unit.
    """

    def __init__(self, canvas: np.ndarray, points: np.ndarray, unit: float) -> None:
        self._canvas = canvas
        # Pixel centers are whole numbers for OpenCV; the canvas' own corner is at -1/2.
        fixed = (points.view(np.float32).reshape(-1, 2) - 0.5) * (1 << _FRACTION_BITS)
        self._points = np.rint(fixed).astype(np.int32)
        self._unit = unit

    def fill(self, name: str, rgb: tuple[float, ...]) -> None:
        """Fills an outline with a color, RGB, 0 to 255."""
        shape = self._points[POINTS[name]]
        cv2.fillPoly(self._canvas, [shape], rgb[::-1], cv2.LINE_AA, _FRACTION_BITS)

    def line(self, name: str, rgb: tuple[float, ...], width: float, closed: bool = False) -> None:
        """Strokes an outline; `width` is in face units."""
        shape = self._points[POINTS[name]]
        pixels = max(1, round(width * self._unit))
        cv2.polylines(self._canvas, [shape], closed, rgb[::-1], pixels, cv2.LINE_AA, _FRACTION_BITS)

    def disk(self, point: np.ndarray, rgb: tuple[float, ...], radius: float) -> None:
        """Fills a circle; `point` is a fixed-point pixel and `radius` in face units."""
        fixed = max(8, round(radius * self._unit * (1 << _FRACTION_BITS)))
        center = (int(point[0]), int(point[1]))
        cv2.circle(self._canvas, center, fixed, rgb[::-1], -1, cv2.LINE_AA, _FRACTION_BITS)

    def disks(self, name: str, rows: slice, rgb: tuple[float, ...], radius: float) -> None:
        """Fills a circle at each of the given points of an outline."""
        for point in self._points[POINTS[name]][rows]:
            self.disk(point, rgb, radius)

    def shifted(self, point: np.ndarray, x: float, y: float) -> np.ndarray:
        """Returns a fixed-point pixel moved by face units."""
        return point + np.array([x, y]) * (self._unit * (1 << _FRACTION_BITS))

    def points(self, name: str) -> np.ndarray:
        """Returns the points of an outline as fixed-point pixels, int32 [points, 2]."""
        return self._points[POINTS[name]]


def paint_face(brush: Brush, identity: Identity, scene: Scene) -> None:
    """Paints face, hair, body and covering of one image."""
    color = identity.colors
    if identity.has_long_hair:
        brush.fill("hair_back", color["hair_back"])
    brush.fill("neck", color["shade"])
    brush.fill("shoulders", tuple(scene.clothes))
    if identity.has_hair and not identity.has_long_hair:
        brush.fill("hair_back", color["hair_back"])
    for side in ("ear_left", "ear_right"):
        brush.fill(side, color["shade"])
    brush.fill("face", color["shade"])
    brush.fill("face_lit", color["skin"])
    brush.fill("cheek_left", color["blush"])
    brush.fill("cheek_right", color["blush"])
    if identity.has_freckles:
        brush.disks("spots", slice(0, 8), color["spot"], 0.018)
    if identity.has_beard:
        brush.fill("beard", color["beard"])
    _paint_features(brush, identity, scene)
    if identity.has_mole:
        brush.disks("spots", slice(8, 9), color["line"], 0.035)
    if identity.has_hair:
        brush.fill("hair_front", color["hair"])
    _paint_covering(brush, scene)


def _paint_features(brush: Brush, identity: Identity, scene: Scene) -> None:
    traits, color = identity.traits, identity.colors
    brush.fill("nose", color["shade"])
    brush.line("nostrils", color["line"], 0.03)
    if identity.has_mustache:
        brush.fill("mustache", color["beard"])
    brush.fill("lips", color["lips"])
    brush.fill("mouth", _WHITE if scene.expression[2] > 0.25 else _DARK)
    for side in ("left", "right"):
        brush.fill(f"socket_{side}", color["socket"])
        brush.fill(f"eye_{side}", _WHITE)
    height = traits["eye_height"] * (1 + float(scene.expression[3]))
    iris = min(traits["iris_size"], height)
    for pupil in brush.points("pupils"):
        middle = brush.shifted(pupil, *scene.gaze)
        brush.disk(middle, color["iris"], iris)
        brush.disk(middle, _DARK, iris * 0.5)
        brush.disk(brush.shifted(middle, -0.02, -0.02), _WHITE, 0.016)
    for side in ("left", "right"):
        brush.line(f"lid_{side}", _DARK, 0.035)
        brush.fill(f"brow_{side}", color["brow"])


def _paint_covering(brush: Brush, scene: Scene) -> None:
    cover = tuple(scene.cover)
    if scene.covering in ("glasses", "sunglasses"):
        for side in ("left", "right"):
            if scene.covering == "sunglasses":
                brush.fill(f"lens_{side}", _DARK)
            brush.line(f"lens_{side}", cover, 0.03, closed=True)
            brush.line(f"temple_{side}", cover, 0.03)
        brush.line("bridge", cover, 0.03)
    elif scene.covering == "scarf":
        brush.fill("scarf", cover)
    elif scene.covering == "patch":
        eyes = brush.points("pupils").mean(0)
        x, y, radius, second = scene.patch
        middle = brush.shifted(eyes, x, y)
        brush.disk(middle, cover, radius)
        brush.disk(brush.shifted(middle, radius, second), cover, second)
