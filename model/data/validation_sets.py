"""Further sets of verification pairs that a training is judged by: benchmarks, other datasets."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facemill.model.data import validation_pairs
from facemill.model.data.validation_pairs import Pairs, Scores
from facemill.model.export.trained_identities import hashes_of
from facemill.model.protocols import insightface
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError, UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.manifest_parts import read_complete
from facemill.transforms.images.decode import DecodeError, decode
from facemill.transforms.images.resize import resize_to_square
from facemill.transforms.sources.pair_bin import SUFFIX, image_in
from facemill.transforms.sources.pair_pickle import RefusedError, read_pair_file

BIN, DATASET = "bin", "dataset"
_JPEG = b"\xff\xd8"
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True)
class ValidationSet:
    """Pairs beside those of the val split.

    Attributes:
        name: of the set.
        kind: `bin`, insightface's file, or `dataset`.
        pairs: the pairs; their images are squares of the model's size.
        unreadable: pairs that were left out, since an image of theirs cannot be decoded.
        identities: how many the pairs show; None where the images name none.
        shared: how many of these are trained on; None where that cannot be known.
        align: how the images were made squares; None where the source does not say.
    """

    name: str
    kind: str
    pairs: Pairs
    unreadable: int = 0
    identities: int | None = None
    shared: int | None = None
    align: str | None = None

    @property
    def clusters(self) -> list[str] | None:
        """The identity of the first image of each genuine and each impostor pair, if known."""
        return validation_pairs.clusters(self.pairs)

    def cautions(self, align: str) -> list[str]:
        """Sentences about what the figures of the set do not say.

        Args:
            align: how the images of the training were made squares.
        """
        found = []
        if self.shared:
            found.append(
                f"{self.shared:,} of the {self.identities:,} identities of the validation set "
                f"{self.name} are trained on: on strangers the figures are worse."
            )
        if self.shared is None:
            found.append(
                f"The images of the validation set {self.name} name no identities, so that nobody "
                "knows whether the model is trained on some of them."
            )
        if self.unreadable:
            found.append(
                f"{self.unreadable:,} pairs of the validation set {self.name} are left out, since "
                "an image of theirs cannot be read."
            )
        there = "landmarks or detect" if self.kind == BIN else self.align
        if align != there and not (self.kind == BIN and align in ("landmarks", "detect")):
            found.append(
                f"The faces of the validation set {self.name} are aligned otherwise ({there}) than "
                f"those of the training ({align}), so its figures are lower than they could be."
            )
        return found

    def protocol(self, scores: Scores) -> dict[str, Any]:
        """The figures of a benchmark's own protocol: of `bin` the accuracy over ten folds.

        Args:
            scores: of the pairs.
        """
        if self.kind != BIN:
            return {}
        # Genuine and impostor pairs lie in the file as their images do.
        firsts = np.concatenate([self.pairs.genuine[:, 0], self.pairs.impostor[:, 0]])
        order = np.argsort(firsts, kind="stable")
        genuine = np.repeat([True, False], [len(scores.genuine), len(scores.impostor)])
        cosines = np.concatenate([scores.genuine, scores.impostor])
        images = [self.pairs.image_ids[row] for at in order for row in (firsts[at], firsts[at] + 1)]
        try:
            listed = insightface.pair_list(images, genuine[order].tolist(), self.name)
        except UsageError:
            # Too few pairs for ten folds, or folds of one kind.
            return {}
        mean, deviation = insightface.accuracy(cosines[order], listed.genuine, listed.fold)
        return {"insightface": {"mean": mean, "standard_deviation": deviation}}

    def to_manifest(self) -> dict[str, Any]:
        """What the manifest says of the set beside its figures."""
        return {
            "name": self.name,
            "kind": self.kind,
            "unreadable_pairs": self.unreadable,
            "identities": self.identities,
            "shared_identities": self.shared,
        }


def is_bin(path: str) -> bool:
    """Whether a path names insightface's file, and not a dataset."""
    return path.lower().endswith(SUFFIX)


def fingerprint(path: str) -> str:
    """What tells a set from another: of a file its SHA-256.

    Args:
        path: absolute path or URL.

    Raises:
        UsageError: there is neither a file `*.bin` nor a complete dataset.
    """
    if not is_bin(path):
        return artifact.fingerprint(read_complete(path, "dataset"))
    if not storage.is_file(path):
        raise ParameterError(
            "validate", path, must="name an existing file or dataset", do="check the path"
        )
    return storage.sha256(path)


def load(
    name: str, path: str, size: int, trained: Iterable[str], count: int, seed: int
) -> ValidationSet:
    """Reads a set.

    Args:
        name: of the set.
        path: absolute path or URL of insightface's `*.bin`, all of whose pairs are taken, or of a
            dataset, of whose val split, or of all splits where that has none, pairs are drawn.
        size: side of the model's image in pixels; images of other sizes are resized.
        trained: the identities of the training.
        count: largest number of pairs of each kind that are drawn from a dataset.
        seed: of the draw.

    Raises:
        UsageError: there are no pairs of both kinds.
        RunError: a dataset does not hold what its index says.
    """
    if is_bin(path):
        return _of_bin(name, path, size)
    manifest = read_complete(path, "dataset")
    if not storage.is_remote(path):
        artifact.check_sizes(path, manifest["files"])
    pairs = validation_pairs.draw(path, manifest, max(1, count), seed)
    if pairs is None:
        pairs = validation_pairs.draw(path, manifest, max(1, count), seed, split=None)
    if pairs is None:
        raise ParameterError(
            "validate",
            path,
            must="hold two identities of two images or more",
            do="give another dataset",
        )
    names = sorted(set(pairs.identities))
    shared = np.isin(hashes_of(names), hashes_of(trained)).sum()
    try:
        encoded = [_fitting(one, size) for one in pairs.encoded]
    except DecodeError as error:
        raise RunError(
            f"Every image of {path} must be readable, but one is not ({error}); ingest again."
        ) from None
    pairs = Pairs(encoded, pairs.genuine, pairs.impostor, pairs.image_ids, pairs.identities)
    align = manifest["preprocessing"]["align"]
    return ValidationSet(name, DATASET, pairs, 0, len(names), int(shared), align)


def _of_bin(name: str, path: str, size: int) -> ValidationSet:
    data = storage.read_bytes(path)
    try:
        found = read_pair_file(io.BytesIO(data))
    except RefusedError as error:
        raise UsageError(
            f"`validate` must name a benchmark of insightface, such as lfw.bin, but {path} "
            f"{error}; give another file."
        ) from None
    encoded: list[bytes | None] = []
    for span in found.images:
        try:
            encoded.append(_fitting(data[span.offset : span.offset + span.length], size))
        except DecodeError:
            encoded.append(None)
    labels = np.array(found.labels)
    rows = np.arange(len(encoded)).reshape(-1, 2)
    readable = np.array(
        [encoded[left] is not None and encoded[right] is not None for left, right in rows.tolist()]
    )
    genuine, impostor = rows[readable & labels], rows[readable & ~labels]
    if not len(genuine) or not len(impostor):
        raise ParameterError(
            "validate",
            path,
            must="hold pairs of one identity and pairs of two whose images can be read",
            but=f"it has {len(genuine):,} and {len(impostor):,} of them",
            do="give the whole file",
        )
    # The images that pairs name, in their order.
    kept = np.flatnonzero(np.repeat(readable, 2))
    index_of = np.zeros(len(encoded), np.int64)
    index_of[kept] = np.arange(len(kept))
    file = path.rpartition("/")[2]
    pairs = Pairs(
        [one for row in kept.tolist() if (one := encoded[row]) is not None],
        index_of[genuine],
        index_of[impostor],
        [image_in(file, row) for row in kept.tolist()],
    )
    return ValidationSet(name, BIN, pairs, int((~readable).sum()))


def _fitting(encoded: bytes, size: int) -> bytes:
    """An image as an upright square of the model's size: as it is where it is one, else as PNG.

    Raises:
        DecodeError: it cannot be read.
    """
    pixels = decode(encoded).pixels
    if pixels.shape[:2] == (size, size) and encoded.startswith(_JPEG):
        # The network gets what TensorFlow decodes, which turns no image by its EXIF orientation.
        stored = cv2.imdecode(np.frombuffer(encoded, np.uint8), _AS_STORED)
        if stored is not None and np.array_equal(stored[:, :, ::-1], pixels):
            return encoded
    bgr = cv2.cvtColor(resize_to_square(pixels, size), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr)[1].tobytes()
