"""The dataset's tensorflow-transform graph, loaded without the package tensorflow-transform.

That package imports Beam, which training does not need.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.records import CHANNEL_MEAN, CHANNEL_SQUARE_MEAN, IDENTITY, QUALITY
from facemill.transforms.dataset.transform_names import (
    LABEL,
    PIXEL_MEAN,
    PIXEL_STD,
    SAVED_MODEL,
    TRANSFORM,
    VOCABULARY_FILE,
)

_FOLDER = f"{TRANSFORM}/{SAVED_MODEL}"
_COMPARED = 100


class Transform:
    """Labels of identities and moments of pixels, from the dataset's tensorflow-transform graph.

    Args:
        dataset: path of the dataset.
        manifest: its manifest.

    Attributes:
        identities: of the train split, in the order of their labels.
        pixel_mean: float32 [3], of R, G, B in [0, 255].
        pixel_std: float32 [3], above 0.

    Raises:
        RunError: the graph cannot be read, or is not what ingest wrote.
    """

    def __init__(self, dataset: str, manifest: Mapping[str, Any]) -> None:
        path = os.path.join(_checked(dataset, manifest), _FOLDER)
        try:
            # Stored because the vocabulary's table lives only as long as the loaded module.
            self._loaded = tf.saved_model.load(path)
            vocabulary = os.path.join(path, VOCABULARY_FILE)
            lines = storage.read_bytes(vocabulary).decode("utf-8").removesuffix("\n")
            self.identities = tuple(lines.split("\n"))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise RunError(
                f"The dataset's transform must be readable, got {path} ({type(error).__name__}); "
                "ingest again."
            ) from None
        row = self._apply(tf.constant([""]))
        self.pixel_mean = row[PIXEL_MEAN][0].numpy()
        self.pixel_std = row[PIXEL_STD][0].numpy()
        self._check_vocabulary(path)
        # The graph computes all features of a row, of which a label needs one: for each image it
        # takes forty times as long as its vocabulary alone.
        self._table = label_table(self.identities, np.arange(len(self.identities)))

    def labels(self, identities: tf.Tensor) -> tf.Tensor:
        """int64 [N]: index of each in `self.identities`, -1 for identities outside the train split.

        Args:
            identities: string [N].
        """
        return self._table.lookup(identities)

    def _check_vocabulary(self, path: str) -> None:
        """Compares the graph's labels of the first and last identities, and of none, with ours."""
        names = [*self.identities[:_COMPARED], *self.identities[-_COMPARED:], ""]
        positions = {name: index for index, name in enumerate(self.identities)}
        expected = [positions.get(name, -1) for name in names]
        if self._apply(tf.constant(names))[LABEL].numpy().tolist() != expected:
            raise RunError(
                f"The vocabulary of the dataset's transform must be the one that its graph uses, "
                f"but {path} has another; ingest again."
            )

    def _apply(self, identities: tf.Tensor) -> dict[str, tf.Tensor]:
        # A label depends on the identity alone, but the graph's signature takes every feature.
        count = tf.shape(identities)[0]
        zeros = tf.zeros([count, 3])
        features = {IDENTITY: identities, CHANNEL_MEAN: zeros, CHANNEL_SQUARE_MEAN: zeros}
        features |= {name: tf.zeros([count]) for name in QUALITY}
        return self._loaded.transform_fn(features)


def label_table(names: Sequence[str], labels: np.ndarray) -> tf.lookup.StaticHashTable:
    """A table of labels by name; -1 for any other name.

    Args:
        names: N different ones.
        labels: int64 [N].
    """
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(names)), tf.constant(labels, tf.int64)
    )
    return tf.lookup.StaticHashTable(initializer, default_value=-1)


def _checked(dataset: str, manifest: Mapping[str, Any]) -> str:
    """Checks the SHA-256 of each file of the SavedModel, because a SavedModel is a program.

    The manifest lists the files whose bytes are the same in every run, run.json the others.

    Returns:
        A directory of this machine that has them in their places: the dataset's own, or a copy.

    Raises:
        RunError: a file is missing, differs or is unlisted.
    """
    run = os.path.join(dataset, artifact.RUN)
    try:
        others = json.loads(storage.read_bytes(run))[TRANSFORM]
        entries = [
            {key: entry[key] for key in ("path", "bytes", "sha256")}
            for entry in (*manifest["files"], *others)
            if entry["path"].startswith(f"{_FOLDER}/")
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run} must list the files of the dataset's transform with their SHA-256, but does "
            f"not ({type(error).__name__}); ingest again."
        ) from None
    folder = artifact.local_copy(dataset, {"files": entries})
    for unlisted in artifact.unlisted_files(folder, entries, _FOLDER):
        raise RunError(
            f"The dataset's transform must hold the files that ingest wrote, but "
            f"{os.path.join(dataset, unlisted)} is none of them; ingest again."
        )
    return folder
