"""Face detectors against one fixed crop, on View 2 of Labeled Faces in the Wild, in one run.

The claim: detection and alignment reduce the errors of one network on these photos to less than
half, and the default detector is many times faster than the other one and as accurate.

    python benchmarks/detectors.py --folds 10 --ways center blazeface

needs $FACEMILL_DATA with lfw/, and beside that folder models/MobileFaceNet.tflite. Two folds, the
default, are about 1,540 images; mtcnn sees 4 to 7 of them a second on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from facemill.model.metrics import verification
from facemill.model.protocols import lfw
from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces import base, blaze_network, registry, template
from facemill.transforms.faces.blazeface import BlazeFace
from facemill.transforms.images.decode import decode

SIZE = 112
# The fixed crop of the deep-funneled images: top, left and side in pixels of 250.
CROP = (47, 57, 136)
CHUNK = 32
# Number of photos whose landmarks are detected again after a change.
STABILITY_PHOTOS = 60
ONE_CROP = {
    "short-only": blaze_network.SHORT_RANGE,
    "back-only": blaze_network.BACK_RANGE,
}
WAYS = ("center", "blazeface", *ONE_CROP, "mtcnn")


def main() -> int:
    arguments = _arguments()
    data = Path(os.environ.get("FACEMILL_DATA", ""))
    weights = data / ".." / "models" / "MobileFaceNet.tflite"
    if not (data / "lfw" / "pairs.txt").is_file() or not weights.is_file():
        print("FACEMILL_DATA must name the folder that holds lfw/, beside models/.")
        return 2
    cv2.setNumThreads(1)
    images = data / "lfw" / "images"
    pairs = _first_folds(
        lfw.parse_pairs((data / "lfw/pairs.txt").read_text(), "pairs.txt"), arguments.folds
    )
    print(f"{len(pairs.images)} images, {len(pairs.pairs)} pairs, {pairs.folds} folds")
    print("images/s: of one core's time, decoding, detection and alignment together")
    print(f"{'way':16} {'found':>8} {'several':>8} {'accuracy':>18} {'images/s':>9}")
    for way in arguments.ways:
        _measure(way, pairs, images, Embedder(weights))
    print()
    print("Mean distance of landmarks from where they were, in pixels of the aligned face")
    print(f"{'way':16}" + "".join(f"{change:>14}" for change in CHANGES))
    for way in arguments.ways:
        if way != "center":
            _measure_stability(way, pairs.images[:: len(pairs.images) // STABILITY_PHOTOS], images)
    return 0


def _measure_stability(way: str, names: Sequence[str], images: Path) -> None:
    finder = _finder(way)
    photos = [decode((images / name).read_bytes()).pixels for name in names]
    first = [_landmarks(finder, photo) for photo in photos]
    cells = []
    for change, undo in CHANGES.values():
        apart = []
        for photo, before in zip(photos, first, strict=True):
            after = None if before is None else _landmarks(finder, change(photo))
            if before is not None and after is not None:
                transform = template.fit(before, SIZE, photo.shape[1], photo.shape[0])
                moved = transform.apply(undo(after)) - transform.apply(before)
                apart.append(np.hypot(*moved.T).mean())
        lost = len(photos) - len(apart)
        cells.append(f"{np.mean(apart):.2f}" + (f" ({lost} lost)" if lost else ""))
    print(f"{way:16}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def _landmarks(finder: base.Detector, photo: np.ndarray) -> np.ndarray | None:
    (faces,) = finder.detect([photo])
    face = base.choose(faces, photo.shape[1], photo.shape[0]).face
    return None if face is None else face.landmarks


def _reencoded(photo: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def _mirror_back(points: np.ndarray) -> np.ndarray:
    order = [1, 0, 2, 3] if len(points) == 4 else [1, 0, 2, 4, 3]
    return points[order] * (-1, 1) + np.array((249, 0))


# By name: the change of a photo of 250 x 250, and the inverse change of landmarks.
CHANGES: dict[str, tuple[Callable, Callable]] = {
    "JPEG 70": (_reencoded, lambda points: points),
    "half size": (
        lambda photo: cv2.resize(photo, (125, 125), interpolation=cv2.INTER_AREA),
        lambda points: points * 2 + 0.5,
    ),
    "5 % crop": (lambda photo: photo[12:, 12:].copy(), lambda points: points + 12),
    "mirrored": (lambda photo: photo[:, ::-1].copy(), _mirror_back),
    "third in gray": (
        lambda photo: cv2.copyMakeBorder(
            photo, 250, 250, 250, 250, cv2.BORDER_CONSTANT, value=(128, 128, 128)
        ),
        lambda points: points - 250,
    ),
}


def _measure(way: str, pairs: lfw.PairList, images: Path, embed: Embedder) -> None:
    crop = _way(way)
    embeddings, seconds, found, several = [], 0.0, 0, 0
    for start in range(0, len(pairs.images), CHUNK):
        files = [(images / name).read_bytes() for name in pairs.images[start : start + CHUNK]]
        started = time.process_time()
        crops, counts = crop([decode(file).pixels for file in files])
        seconds += time.process_time() - started
        found += sum(count > 0 for count in counts)
        several += sum(count > 1 for count in counts)
        embeddings.append(embed(crops))
    accuracy = _accuracy(pairs, np.concatenate(embeddings))
    total = len(pairs.images)
    shown = f"{accuracy.mean:.2%} ± {100 * accuracy.standard_error:.2f} %"
    print(
        f"{way:16} {found / total:8.2%} {several / total:8.2%} {shown:>18} {total / seconds:9.0f}",
        flush=True,
    )


def _way(name: str) -> Callable[[Sequence[np.ndarray]], tuple[list[np.ndarray], list[int]]]:
    """A function from photos to their aligned faces and how many faces each photo shows."""
    if name == "center":
        return lambda photos: ([_center(photo) for photo in photos], [1] * len(photos))
    finder = _finder(name)

    def crop(photos: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
        crops, counts = [], []
        for photo, faces in zip(photos, finder.detect(photos), strict=True):
            choice = base.choose(faces, photo.shape[1], photo.shape[0])
            counts.append(choice.found)
            # A photo without a face counts too, as it would in a collection.
            found = choice.face
            crops.append(
                _center(photo) if found is None else template.align(photo, found.landmarks, SIZE)
            )
        return crops, counts

    return crop


def _finder(name: str) -> base.Detector:
    if name in ONE_CROP:
        return BlazeFace((ONE_CROP[name],), passes=1)
    return registry.load(name)


def _center(photo: np.ndarray) -> np.ndarray:
    top, left, side = CROP
    part = photo[top : top + side, left : left + side]
    return cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


class Embedder:
    """The published reference network, which takes two faces at a time."""

    def __init__(self, weights: Path) -> None:
        self._network = Interpreter(str(weights), num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def __call__(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        rows = []
        for start in range(0, len(faces), 2):
            some = faces[start : start + 2]
            batch = np.zeros((2, SIZE, SIZE, 3), np.float32)
            batch[: len(some)] = (np.asarray(some, np.float32) - 127.5) / 128
            self._network.set_tensor(self._input, batch)
            self._network.invoke()
            rows.append(self._network.get_tensor(self._output)[: len(some)].copy())
        return np.concatenate(rows)


def _accuracy(pairs: lfw.PairList, embeddings: np.ndarray) -> lfw.Accuracy:
    rows = {name: row for row, name in enumerate(pairs.images)}
    left = embeddings[[rows[pair.left] for pair in pairs.pairs]]
    right = embeddings[[rows[pair.right] for pair in pairs.pairs]]
    return lfw.evaluate(pairs, verification.cosine(left, right))


def _first_folds(pairs: lfw.PairList, folds: int) -> lfw.PairList:
    kept = tuple(pair for pair in pairs.pairs if pair.fold < folds)
    return dataclasses.replace(pairs, folds=folds, pairs=kept)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folds", type=int, default=2, choices=range(2, 11), metavar="2..10")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as error:
        sys.exit(str(error))
