"""Alignment of faces to a template: every aligned crop has its eyes in the same place.

The template is the one that ArcFace's networks are trained on (Deng, Guo, Xue, Zafeiriou: ArcFace,
CVPR 2019; coordinates as the insightface project publishes them). The map is the similarity
transform of least squares (Umeyama: Least-squares estimation of transformation parameters between
two point patterns, IEEE PAMI 13(4), 1991, equations 40 to 43, without its reflections).

All coordinates are (x, y) in pixels, y downwards, and the center of the first pixel is (0, 0).
Left and right are as the viewer sees them.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.transforms.core.reasons import ReasonCode, ReasonError

# Left eye, right eye, tip of the nose, left and right corner of the mouth, in 112 x 112 pixels.
TEMPLATE_SIZE = 112
_FIVE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

# Left eye, right eye, tip of the nose and center of the mouth as BlazeFace defines them: their
# median positions in faces that MTCNN's five landmarks align to the template above (220 images of
# the development identities of Labeled Faces in the Wild). BlazeFace's eyes are further apart. A
# shift of 0.4 pixels made the points symmetrical, so that a mirrored photo gives the mirrored crop.
_FOUR = ((36.9, 53.4), (74.1, 53.4), (55.5, 73.5), (55.5, 93.0))
# The nose varies two to three times as much as the others, because it moves as the head turns.
_FOUR_WEIGHTS = (1.0, 1.0, 0.25, 1.0)

# Pixels; landmarks that all lie closer than this to their mean are no face.
_MIN_SPREAD = 1.0
# In sides of the photo: a landmark may be this far outside, since the border may cut the face.
_OUTSIDE = 0.5
# Faces in profile fit the template and its mirror image equally badly; only landmarks that fit
# the mirror image much better have left and right exchanged.
_SWAPPED = 0.5
# Root mean square distance from the template, in distances between its eyes: of 7,701 images of
# Labeled Faces in the Wild, profiles among them, the worst has 0.32.
_MAX_RESIDUAL = 0.5

# OpenCV's warping samples single points, so it aliases when it shrinks. `warp` therefore first
# averages the photo to at most this many times the result's resolution, then samples a grid finer
# than the result, and averages its cells.
_FINEST = 4


class AlignmentError(ReasonError):
    """The landmarks cannot align a face; the message is the row's reason."""

    def __init__(self, text: str) -> None:
        super().__init__(ReasonCode.BAD_LANDMARKS, text)
        self.args = (text,)


@dataclass(frozen=True)
class Similarity:
    """The map (x, y) -> (a x - b y + tx, b x + a y + ty): scale, rotation and shift, no mirroring.

    Attributes:
        a: scale times the cosine of the angle.
        b: scale times the sine of the angle.
        tx: pixels of the result.
        ty: pixels of the result.
    """

    a: float
    b: float
    tx: float
    ty: float

    @property
    def scale(self) -> float:
        """Pixels of the result for one pixel of the source, above 0."""
        return math.hypot(self.a, self.b)

    @property
    def matrix(self) -> np.ndarray:
        """float64 [2, 3], as OpenCV takes it."""
        return np.array([[self.a, -self.b, self.tx], [self.b, self.a, self.ty]])

    def inverse(self) -> "Similarity":
        """The inverse map."""
        factor = 1 / complex(self.a, self.b)
        shift = -factor * complex(self.tx, self.ty)
        return Similarity(factor.real, factor.imag, shift.real, shift.imag)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Maps points float [N, 2] of the source to float64 [N, 2] of the result."""
        return np.asarray(points, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]


def template(size: int, points: int = 5) -> np.ndarray:
    """The positions of the landmarks in an aligned crop.

    Args:
        size: side of the crop in pixels.
        points: 5 (left eye, right eye, nose, left and right corner of the mouth) or 4 (left eye,
            right eye, nose, center of the mouth).

    Returns:
        float64 [points, 2].
    """
    if points not in (4, 5):
        raise ValueError(f"a template must have 4 or 5 points, got {points}")
    positions = np.array(_FIVE if points == 5 else _FOUR)
    # Edges of pixels scale with the size; centers are half a pixel inside.
    return (positions + 0.5) * (size / TEMPLATE_SIZE) - 0.5


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
) -> Similarity:
    """The similarity transform, without mirroring, of least squared distances.

    In the plane, with points as complex numbers about their means, Umeyama's rotation and scale
    are one complex factor: the sum of conj(source) target over the sum of |source|^2.

    Args:
        source: float [N, 2], at least two different points.
        target: float [N, 2].
        weights: float [N], above 0, of the squared distances; equal if None.

    Raises:
        AlignmentError: the source's points all coincide, or no rotation is better than another.
    """
    start = np.asarray(source, np.float64) @ (1, 1j)
    end = np.asarray(target, np.float64) @ (1, 1j)
    shares = np.full(len(start), 1.0) if weights is None else np.asarray(weights, np.float64)
    shares = shares / shares.sum()
    start_mean, end_mean = shares @ start, shares @ end
    start, end = start - start_mean, end - end_mean
    spread = float(shares @ np.abs(start) ** 2)
    factor = (shares * start.conj()) @ end / spread if spread > 0 else 0
    # The largest possible absolute value of the factor for point sets of these sizes.
    reach = math.sqrt(float(shares @ np.abs(end) ** 2) / spread) if spread > 0 else 0
    if abs(factor) <= 1e-9 * reach or not math.isfinite(abs(factor)):
        raise AlignmentError("landmarks do not determine a position of the face")
    shift = end_mean - factor * start_mean
    return Similarity(factor.real, factor.imag, shift.real, shift.imag)


def fit(landmarks: np.ndarray, size: int, width: int, height: int) -> Similarity:
    """The map from a photo to its aligned crop, after checks that the landmarks can be a face's.

    Args:
        landmarks: float [5, 2] or [4, 2], in the order of `template`.
        size: side of the aligned crop in pixels.
        width: of the photo in pixels.
        height: of the photo in pixels.

    Raises:
        AlignmentError: not finite, outside the photo by more than half its side, all in one place,
            mirrored, or far from a face's proportions.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape not in ((4, 2), (5, 2)):
        raise AlignmentError(f"landmarks must be 5 or 4 points (x, y), got shape {points.shape}")
    if not np.isfinite(points).all():
        raise AlignmentError("landmarks are not finite numbers")
    # From the photo's center, 1 at its edges.
    out = np.abs((points + 0.5) / (width, height) - 0.5).max(axis=1) * 2
    if out.max() > 1 + 2 * _OUTSIDE:
        x, y = points[np.argmax(out)]
        raise AlignmentError(f"landmark ({x:.0f}, {y:.0f}) is outside the image {width}x{height}")
    if np.hypot(*(points - points.mean(axis=0)).T).max() < _MIN_SPREAD:
        raise AlignmentError("landmarks all lie in one place")
    goal = template(size, len(points))
    weights = np.ones(5) if len(points) == 5 else np.array(_FOUR_WEIGHTS)
    found = similarity(points, goal, weights)
    distance = _residual(found, points, goal)
    mirrored = points * (-1, 1)
    if _residual(similarity(mirrored, goal, weights), mirrored, goal) < _SWAPPED * distance:
        raise AlignmentError("landmarks have left and right exchanged")
    if distance > _MAX_RESIDUAL:
        raise AlignmentError("landmarks are not placed like those of a face")
    return found


def align(pixels: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """The crop of the face, aligned to the template; black outside the photo.

    Args:
        pixels: uint8 [height, width, 3].
        landmarks: float [5, 2] or [4, 2], in the order of `template`.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3].

    Raises:
        AlignmentError: see `fit`.
    """
    height, width = pixels.shape[:2]
    return warp(pixels, fit(landmarks, size, width, height), size)


def warp(pixels: np.ndarray, transform: Similarity, size: int) -> np.ndarray:
    """Warps a photo; every pixel of the result is an average of the area that it covers.

    Args:
        pixels: uint8 [height, width, 3].
        transform: from the photo's pixels to the result's.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3], black outside the photo.
    """
    left, top, right, bottom = _covered(pixels, transform, size)
    if left >= right or top >= bottom:
        return np.zeros((size, size, 3), np.uint8)
    part = pixels[top:bottom, left:right]
    shrink = 1 / transform.scale
    before = max(1, math.floor(shrink / (_FINEST / 2)))
    if before > 1:
        part = _averaged(part, before)
    fine = max(1, math.ceil(shrink / before - 1e-6))
    # Maps of pixel centers: averaged part to photo, and result to its finer grid.
    into = np.array([[before, 0, left + (before - 1) / 2], [0, before, top + (before - 1) / 2]])
    outof = np.array([[fine, 0, (fine - 1) / 2], [0, fine, (fine - 1) / 2]])
    square = np.array((0, 0, 1))
    whole = outof @ np.vstack([transform.matrix, square]) @ np.vstack([into, square])
    side = size * fine
    grid = cv2.warpAffine(part, whole, (side, side), flags=cv2.INTER_LINEAR)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else grid


def _residual(transform: Similarity, points: np.ndarray, goal: np.ndarray) -> float:
    """Root mean square distance after the map, in distances between the template's eyes."""
    apart = transform.apply(points) - goal
    return float(np.sqrt((apart**2).sum(axis=1).mean()) / np.hypot(*(goal[1] - goal[0])))


def _covered(pixels: np.ndarray, transform: Similarity, size: int) -> tuple[int, int, int, int]:
    """The part of the photo, (left, top, right, bottom), that the result covers, with a margin."""
    corners = np.array([(-1, -1), (size, -1), (-1, size), (size, size)], np.float64)
    back = transform.inverse().apply(corners)
    left, top = np.floor(back.min(axis=0)) - 2
    right, bottom = np.ceil(back.max(axis=0)) + 3
    height, width = pixels.shape[:2]
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _averaged(pixels: np.ndarray, times: int) -> np.ndarray:
    """Shrinks by an integer factor by area averaging; partial cells repeat the border."""
    height, width = pixels.shape[:2]
    below, beside = -height % times, -width % times
    if below or beside:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    size = (pixels.shape[1] // times, pixels.shape[0] // times)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
