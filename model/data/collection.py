"""Several datasets as one: whose identity a record shows, and what all their images have in common.

Only names of identities are in memory. Duplicates across datasets are not looked for, which is a
matter of ingest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data.aliases import Names, in_dataset
from facemill.model.data.image_rows import Source
from facemill.model.data.vocabulary import Transform, label_table
from facemill.transforms.core.errors import ParameterError


@dataclass(frozen=True)
class Part:
    """One of the datasets.

    Attributes:
        path: its path or URL.
        manifest: its manifest.
        transform: its transform.
    """

    path: str
    manifest: Mapping[str, Any]
    transform: Transform


class Collection:
    """Labels of identities and moments of pixels of several datasets; it stands for a `Transform`.

    Args:
        parts: the datasets, two or more.
        names: of their identities.

    Attributes:
        parts: the datasets.
        names: of their identities.
        sources: the datasets with the labels of their identities.
        identities: names of the identities of all train splits, sorted: the order of the labels.
        in_several: how many of these are in more than one dataset.
        aliases_used: how many aliases name an identity of a train split.
        manifest: what all datasets together have of a manifest: `options` (image_size, balance),
            `preprocessing`, and the figures of the train split.
        pixel_mean: float32 [3], of R, G, B in [0, 255], over the train records of all.
        pixel_std: float32 [3], above 0.
    """

    def __init__(self, parts: Sequence[Part], names: Names) -> None:
        self.parts, self.names = tuple(parts), names
        named = [
            [names.name(number, identity) for identity in part.transform.identities]
            for number, part in enumerate(self.parts)
        ]
        self.identities = tuple(sorted(set().union(*named)))
        label_of = {name: label for label, name in enumerate(self.identities)}
        labels = [np.array([label_of[name] for name in some], np.int64) for some in named]
        self.sources = [
            Source(part.path, part.manifest, part.transform.identities, some)
            for part, some in zip(self.parts, labels, strict=True)
        ]
        found_in = np.zeros(len(self.identities), np.int64)
        for some in labels:
            found_in[np.unique(some)] += 1
        self.in_several = int((found_in > 1).sum())
        self.manifest = joined([part.manifest for part in self.parts], len(self.identities))
        self.pixel_mean, self.pixel_std = _moments(self.parts)
        keys = [
            in_dataset(number, identity)
            for number, part in enumerate(self.parts)
            for identity in part.transform.identities
        ]
        self._aliased = [
            (number, identity)
            for number, part in enumerate(self.parts)
            for identity in part.transform.identities
            if (number, identity) in names.aliases
        ]
        self.aliases_used = len(self._aliased)
        self._table = label_table(keys, np.concatenate(labels))

    @staticmethod
    def key(number: tf.Tensor, identity: tf.Tensor) -> tf.Tensor:
        """What `labels` knows an identity by, string [].

        Args:
            number: int64 [], of the dataset, from 0 on.
            identity: string [], as the dataset has it.
        """
        return tf.strings.join([tf.strings.as_string(number + 1), identity], "/")

    def labels(self, keys: tf.Tensor) -> tf.Tensor:
        """int64 [N]: index of each in `self.identities`, -1 for any outside the train splits.

        Args:
            keys: string [N], of `key`.
        """
        return self._table.lookup(keys)

    def trained_names(self) -> list[str]:
        """Names of the identities of the train splits: of each dataset, and their aliases."""
        own = {identity for part in self.parts for identity in part.transform.identities}
        return sorted(own.union(self.names.aliases[key] for key in self._aliased))


# What training takes labels and moments from.
Labels = Transform | Collection


def check_alike(datasets: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Checks that images of all datasets can be in one batch.

    Args:
        datasets: (path, manifest) of each.

    Raises:
        ParameterError: two differ in size, alignment or crop of their images.
    """
    (first, manifest), *others = datasets
    expected = manifest["preprocessing"]
    for path, other in others:
        found = other["preprocessing"]
        differing = sorted(
            key for key in {*expected, *found} if expected.get(key) != found.get(key)
        )
        if differing:
            there, here = (
                ", ".join(f"{key.replace('_', ' ')} {one.get(key)}" for key in differing)
                for one in (expected, found)
            )
            raise ParameterError(
                "dataset",
                path,
                must="have images of one size, alignment and crop in all datasets",
                but=f"{first} has {there} and {path} has {here}",
                do="ingest one of them again as the other",
            )


def joined(manifests: Sequence[Mapping[str, Any]], identities: int) -> dict[str, Any]:
    """What several datasets together have of a manifest; see `Collection.manifest`.

    Args:
        manifests: of the datasets, which are alike.
        identities: of all train splits.
    """
    first = manifests[0]
    train, val = (_split(manifests, split) for split in ("train", "val"))
    rules = [rule for one in manifests for rule in one["options"].get("balance", ())]
    return {
        "options": {"image_size": first["options"]["image_size"], "balance": rules},
        "preprocessing": first["preprocessing"],
        "splits": {"train": train | {"identities": identities}, "val": val},
    }


def _split(manifests: Sequence[Mapping[str, Any]], split: str) -> dict[str, int]:
    """Records, identities and bytes of a split of all datasets together."""
    found = {"records": 0, "identities": 0, "bytes": 0}
    for manifest in manifests:
        part = manifest["splits"].get(split, {"records": 0, "identities": 0, "shards": []})
        shards = set(part["shards"])
        found["records"] += part["records"]
        found["identities"] += part["identities"]
        found["bytes"] += sum(one["bytes"] for one in manifest["files"] if one["path"] in shards)
    return found


def _moments(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over all train records, each float32 [3]."""
    counts = np.array([part.manifest["splits"]["train"]["records"] for part in parts], np.float64)
    shares = (counts / counts.sum())[:, np.newaxis]
    means = np.stack([part.transform.pixel_mean for part in parts]).astype(np.float64)
    deviations = np.stack([part.transform.pixel_std for part in parts]).astype(np.float64)
    mean = (shares * means).sum(axis=0)
    # As a sum of squares around the common mean, which cannot fall below 0 by rounding.
    variance = (shares * (deviations**2 + (means - mean) ** 2)).sum(axis=0)
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)
