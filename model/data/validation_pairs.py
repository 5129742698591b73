"""Genuine and impostor pairs of the val split, and the scores that a model gives them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.model.data.shard_files import entries_of
from facemill.model.metrics import verification
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact, tfrecord
from facemill.transforms.dataset.parquet_parts import read_part
from facemill.transforms.dataset.records import from_example
from facemill.transforms.dataset.split_names import SPLITS

_COLUMNS = ["image_id", "identity", "shard", "position"]


@dataclass(frozen=True)
class Pairs:
    """Genuine and impostor pairs of one split.

    Attributes:
        encoded: the JPEGs of the images that the pairs name.
        genuine: int64 [G, 2], indices into `encoded` of two images of one identity.
        impostor: int64 [I, 2], the same for images of two identities.
        image_ids: of the images in `encoded`, for the training report.
        identities: of the images in `encoded`.
    """

    encoded: list[bytes]
    genuine: np.ndarray
    impostor: np.ndarray
    image_ids: Sequence[str] = ()
    identities: Sequence[str] = ()


@dataclass(frozen=True)
class Scores:
    """Cosine similarities of the pairs.

    Attributes:
        genuine: float64 [G].
        impostor: float64 [I].
        vectors: float32 [N, D], embeddings of the images of the pairs, or None.
    """

    genuine: np.ndarray
    impostor: np.ndarray
    vectors: np.ndarray | None = None

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """Best accuracy (its threshold chosen on these pairs) and equal error rate, in [0, 1]."""
        curve = verification.roc(self.genuine, self.impostor)
        accuracy, _ = verification.best_accuracy(self.genuine, self.impostor)
        return {
            "accuracy": accuracy,
            "equal_error_rate": float(verification.equal_error_rate(curve)[0]),
        }


def draw(
    dataset: str, manifest: dict[str, Any], count: int, seed: int, split: str | None = "val"
) -> Pairs | None:
    """Pairs of a split, drawn by keyed hash; see `choose`.

    The index lists the images; only those that a pair names are read from the shards.

    Args:
        dataset: its path.
        manifest: its manifest.
        count: largest number of pairs of each kind.
        seed: of the draw.
        split: whose images; None for all splits of identities.

    Returns:
        None if it has no two identities with two images each, or `count` is 0.

    Raises:
        RunError: the shards do not hold what the index says.
    """
    if count == 0:
        return None
    images = images_of(dataset, manifest, SPLITS if split is None else (split,))
    return pairs_of(
        images["image_id"].to_pylist(),
        images["identity"].to_pylist(),
        lambda rows: read_images(dataset, manifest, images.take(rows)),
        count,
        seed,
    )


def pairs_of(
    image_ids: Sequence[str],
    identities: Sequence[str],
    read: Callable[[list[int]], list[bytes]],
    count: int,
    seed: int,
) -> Pairs | None:
    """Pairs of some images; see `choose`.

    Args:
        image_ids: N different ones.
        identities: N, of these images.
        read: gives the JPEGs of images by their indices.
        count: largest number of pairs of each kind.
        seed: of the draw.
    """
    chosen = choose(image_ids, identities, count, seed)
    if chosen is None:
        return None
    genuine, impostor = chosen
    # In the order in which pairs name them, so that a smaller draw is a prefix of a larger one.
    rows = list(dict.fromkeys(np.hstack([genuine, impostor[:, 1:]]).ravel().tolist()))
    index_of = np.zeros(len(image_ids), np.int64)
    index_of[rows] = np.arange(len(rows))
    return Pairs(
        read(rows),
        index_of[genuine],
        index_of[impostor],
        [image_ids[row] for row in rows],
        [identities[row] for row in rows],
    )


def choose(
    image_ids: Sequence[str], identities: Sequence[str], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Genuine and impostor pairs of some images.

    The images of each identity are put into a drawn order, and neighbors in it are genuine pairs,
    so that no image is in more than two. Each impostor pair is the first image of a genuine pair
    and any image of any other identity.

    Args:
        image_ids: N, sorted.
        identities: N, of these images.
        count: largest number of pairs of each kind.
        seed: of the draw.

    Returns:
        (genuine int64 [P, 2], impostor int64 [P, 2]), indices into `image_ids`; None if no two
        identities have two images each.
    """
    _, identity, sizes = np.unique(
        np.array(identities, object), return_inverse=True, return_counts=True
    )
    # Identities with a single image are left out, and the others are numbered anew.
    usable = sizes > 1
    number, sizes = np.cumsum(usable) - 1, sizes[usable]
    if len(sizes) < 2:
        return None
    rows = np.flatnonzero(usable[identity])
    rows = rows[np.lexsort((_hashes(image_ids, rows, seed, "pairs"), identity[rows]))]
    owner = number[identity[rows]]
    first = np.flatnonzero(owner[:-1] == owner[1:])
    order = _hashes(image_ids, rows[first], seed, "genuine")
    drawn = np.argsort(order, kind="stable")[:count]
    first, order = first[drawn], order[drawn]
    step = 1 + (order % np.uint64(len(sizes) - 1)).astype(np.int64)
    other = (owner[first] + step) % len(sizes)
    # A second hash chooses the image: the one that chose the identity could reach only some of its
    # images.
    image = _hashes(image_ids, rows[first], seed, "impostor") % sizes[other].astype(np.uint64)
    partner = (np.cumsum(sizes) - sizes)[other] + image.astype(np.int64)
    return (
        np.stack([rows[first], rows[first + 1]], axis=1),
        np.stack([rows[first], rows[partner]], axis=1),
    )


def score(pairs: Pairs, embed: Callable[[list[bytes]], np.ndarray]) -> Scores:
    """Cosine similarities of the pairs.

    Args:
        pairs: the pairs.
        embed: from N JPEGs to float32 [N, D].
    """
    return score_vectors(pairs, embed(pairs.encoded))


def score_vectors(pairs: Pairs, vectors: np.ndarray) -> Scores:
    """Cosine similarities of the pairs.

    Args:
        pairs: the pairs.
        vectors: float32 [N, D], the embeddings of their images.
    """
    left, right = pairs.genuine.T
    genuine = verification.cosine(vectors[left], vectors[right])
    left, right = pairs.impostor.T
    return Scores(genuine, verification.cosine(vectors[left], vectors[right]), vectors)


def first(pairs: Pairs, images: int) -> Pairs:
    """The pairs whose images are all among the first `images`, and these images.

    Pairs name images in the order of the draw, so it is the beginning of the draw.
    """
    genuine, impostor = (
        rows[(rows < images).all(axis=1)] for rows in (pairs.genuine, pairs.impostor)
    )
    names, identities = pairs.image_ids[:images], pairs.identities[:images]
    return Pairs(pairs.encoded[:images], genuine, impostor, names, identities)


def hardest(scores: Scores, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that the model got most wrong, the worst first; ties are in the order of the draw.

    Args:
        scores: of the pairs.
        count: largest number of pairs of each kind.

    Returns:
        (int64 [<= count], rows of the genuine pairs with the lowest scores; int64 [<= count], rows
        of the impostor pairs with the highest).
    """
    lowest = np.argsort(scores.genuine, kind="stable")[:count]
    return lowest, np.argsort(-scores.impostor, kind="stable")[:count]


def clusters(pairs: Pairs) -> list[str] | None:
    """The identity of the first image of each genuine and then each impostor pair, if known."""
    if not pairs.identities:
        return None
    first_images = np.concatenate([pairs.genuine[:, 0], pairs.impostor[:, 0]])
    return [pairs.identities[row] for row in first_images.tolist()]


def images_of(dataset: str, manifest: Mapping[str, Any], splits: Sequence[str]) -> pa.Table:
    """Columns image_id, identity, shard and position of the splits' images, by image_id."""
    parts = artifact.entries_under(manifest, "index/")
    paths = [artifact.resolve(dataset, entry["path"]) for entry in parts]
    wanted = pc.field("split").isin(list(splits)) & pc.field("position").is_valid()
    tables = [read_part(path, _COLUMNS, wanted) for path in paths]
    return pa.concat_tables(tables).sort_by("image_id")


def read_images(dataset: str, manifest: Mapping[str, Any], images: pa.Table) -> list[bytes]:
    """The JPEG of each image, of a table as `images_of` gives it.

    Raises:
        RunError: an image is not where the index says.
    """
    found: list[bytes] = [b""] * len(images)
    by_shard: dict[str, dict[int, int]] = {}
    for row, (shard, position) in enumerate(
        zip(images["shard"].to_pylist(), images["position"].to_pylist(), strict=True)
    ):
        by_shard.setdefault(shard, {})[position] = row
    ids = images["image_id"].to_pylist()
    names = sorted(by_shard)
    paths = storage.local_files(dataset, entries_of(dataset, manifest, names))
    for shard, path in zip(names, paths, strict=True):
        rows = by_shard[shard]
        with storage.open_file(path) as stream:
            offsets = [
                (offset, rows[position])
                for position, (offset, _) in enumerate(tfrecord.scan(stream))
                if position in rows
            ]
            records = [(from_example(tfrecord.read_at(stream, at)), row) for at, row in offsets]
        if [record.image_id for record, _ in records] != [ids[rows[at]] for at in sorted(rows)]:
            raise RunError(
                f"{shard} of {dataset} must hold the images that the index says, but holds others; "
                "ingest again."
            )
        for record, row in records:
            found[row] = record.encoded
    return found


def _hashes(image_ids: Sequence[str], rows: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """uint64 [len(rows)]."""
    hashes = (keyed_hash(seed, purpose, image_ids[row]) for row in rows.tolist())
    return np.fromiter(hashes, np.uint64, len(rows))
