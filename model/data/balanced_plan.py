"""Which images are in which identity-balanced batch: P identities with K images each.

As in Hermans et al. 2017 (arXiv 1703.07737, section 2), with this difference: identities are dealt
out in rounds, so that all come equally often. Plain functions of numbers: nothing is read here, and
any batch of any epoch can be computed without those before it.
"""

from functools import lru_cache

import numpy as np

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.keyed import keyed_hash, splitmix64


def identities_per_batch(batch_size: int, images_per_identity: int, identities: int) -> int:
    """P of the batches.

    Args:
        batch_size: images in a batch.
        images_per_identity: K.
        identities: in the train split.

    Raises:
        ParameterError: K does not divide the batch, or P is 1 or more than there are identities.
    """
    if batch_size % images_per_identity or batch_size == images_per_identity:
        raise ParameterError(
            "images_per_identity",
            images_per_identity,
            must=f"divide the batch of {batch_size} images into two identities or more",
            do="change it or the batch size",
        )
    count = batch_size // images_per_identity
    if count > identities:
        raise ParameterError(
            "images_per_identity",
            images_per_identity,
            must=f"leave at most the {identities} identities of the train split in a batch",
            got=f"{count} in a batch of {batch_size} images",
            do="raise it or lower the batch size",
        )
    return count


class Plan:
    """The batches of every epoch.

    A round is a random order of all identities, cut into batches; what is left of it is less than a
    batch and is left out, so no batch has an identity twice. In its R-th round of an epoch an
    identity shows images R * K to R * K + K - 1 of its own random order, from the start again when
    they are used up.

    Args:
        sizes: int64 [I], images of each identity, 1 or more.
        identities: P, at most I.
        images: K.
        seed: of the run.
    """

    def __init__(self, sizes: np.ndarray, identities: int, images: int, seed: int) -> None:
        self._sizes = np.asarray(sizes, np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._identities = identities
        self._images = images
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch.

        Args:
            epoch: from 0 on.
            index: of the batch in its epoch, from 0 on.

        Returns:
            (rows int64 [P * K]: images, numbered identity by identity; repeats int64 [P * K]: how
            often the epoch has shown each before, which makes another copy for its augmentation).
        """
        of_round, slot = divmod(index, len(self._sizes) // self._identities)
        first = slot * self._identities
        chosen = self._order(epoch, of_round)[first : first + self._identities]
        key = keyed_hash(self._seed, "images", str(epoch))
        place = of_round * self._images + np.arange(self._images)
        rows, repeats = [], []
        for identity in chosen.tolist():
            size, start = int(self._sizes[identity]), int(self._starts[identity])
            own = np.arange(start, start + size, dtype=np.uint64)
            rows.append(own[np.argsort(_mixed(own, key), kind="stable")][place % size])
            repeats.append(place // size)
        return np.concatenate(rows).astype(np.int64), np.concatenate(repeats)

    def _shuffled(self, epoch: int, of_round: int) -> np.ndarray:
        """All identities in the order of a round."""
        key = keyed_hash(self._seed, "identities", f"{epoch} {of_round}")
        return np.argsort(_mixed(np.arange(len(self._sizes), dtype=np.uint64), key), kind="stable")


def _mixed(numbers: np.ndarray, key: int) -> np.ndarray:
    """uint64 hashes of uint64 numbers; different numbers have different ones."""
    with np.errstate(over="ignore"):
        return splitmix64(splitmix64(numbers, 0) + np.uint64(key), 0)
