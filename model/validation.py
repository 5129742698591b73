"""Verification pairs of the val split, and how well a model tells them apart."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.metrics import verification
from transforms import tfrecord
from transforms.keyed import keyed_hash
from transforms.records import from_example


@dataclass(frozen=True)
class Pairs:
    """Genuine and impostor pairs of one split.

    Attributes:
        encoded: the JPEGs of the images that the pairs name.
        genuine: int64 [G, 2], places in `encoded` of two images of one identity.
        impostor: int64 [I, 2], of two identities.
    """

    encoded: list[bytes]
    genuine: np.ndarray
    impostor: np.ndarray


@dataclass(frozen=True)
class Scores:
    """Cosines of the pairs.

    Attributes:
        genuine: float64 [G].
        impostor: float64 [I].
    """

    genuine: np.ndarray
    impostor: np.ndarray

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """Best accuracy (its threshold chosen on these pairs) and equal error rate, in [0, 1]."""
        curve = verification.roc(self.genuine, self.impostor)
        accuracy, _ = verification.best_accuracy(self.genuine, self.impostor)
        return {
            "accuracy": accuracy,
            "equal_error_rate": float(verification.equal_error_rate(curve)[0]),
        }


def draw(dataset: str, manifest: dict[str, Any], count: int, seed: int) -> Pairs | None:
    """Pairs of the val split, drawn by keyed hash.

    A genuine pair is two images that follow each other in an identity's drawn order, so no image
    is in more than two; impostors are the same images, each against one of another identity.

    Args:
        dataset: its path.
        manifest: its manifest.
        count: of each kind, at most.
        seed: of the draw.

    Returns:
        None if the split has no two identities with two images each, or `count` is 0.
    """
    identities = _images_by_identity(dataset, manifest, seed)
    chains = [images for _, images in sorted(identities.items()) if len(images) > 1]
    if len(chains) < 2 or count == 0:
        return None
    drawn: list[tuple[int, _Image, int, int]] = []
    for chain, images in enumerate(chains):
        for place in range(len(images) - 1):
            order = keyed_hash(seed, "genuine", images[place].image_id)
            drawn.append((order, images[place], chain, place))
    drawn.sort()
    encoded: list[bytes] = []
    places: dict[_Image, int] = {}

    def place_of(image: _Image) -> int:
        if image not in places:
            places[image] = len(encoded)
            encoded.append(image.read(dataset))
        return places[image]

    genuine, impostor = [], []
    for order, _, chain, place in drawn[:count]:
        first = place_of(chains[chain][place])
        genuine.append((first, place_of(chains[chain][place + 1])))
        other = chains[(chain + 1 + order % (len(chains) - 1)) % len(chains)]
        impostor.append((first, place_of(other[order % len(other)])))
    return Pairs(encoded, np.array(genuine), np.array(impostor))


def score(pairs: Pairs, embed: Callable[[list[bytes]], np.ndarray]) -> Scores:
    """Cosines of the pairs.

    Args:
        pairs: the pairs.
        embed: JPEGs -> float32 [N, D].
    """
    vectors = embed(pairs.encoded)
    left, right = pairs.genuine.T
    genuine = verification.cosine(vectors[left], vectors[right])
    left, right = pairs.impostor.T
    return Scores(genuine, verification.cosine(vectors[left], vectors[right]))


@dataclass(frozen=True, order=True)
class _Image:
    """Where an image of the split lies; its bytes stay there until a pair wants them."""

    image_id: str
    shard: str
    offset: int

    def read(self, dataset: str) -> bytes:
        """The JPEG."""
        with open(os.path.join(dataset, self.shard), "rb") as stream:
            return from_example(tfrecord.read_at(stream, self.offset)).encoded


def _images_by_identity(
    dataset: str, manifest: dict[str, Any], seed: int
) -> dict[str, list[_Image]]:
    found: dict[str, list[_Image]] = {}
    for name in manifest["splits"]["val"]["shards"]:
        with open(os.path.join(dataset, name), "rb") as stream:
            offset = 0
            for payload in tfrecord.read(stream):
                record = from_example(payload)
                image = _Image(record.image_id, name, offset)
                found.setdefault(record.identity, []).append(image)
                offset += tfrecord.HEADER_BYTES + len(payload) + tfrecord.FOOTER_BYTES
    for images in found.values():
        images.sort(key=lambda image: (keyed_hash(seed, "pairs", image.image_id), image))
    return found
