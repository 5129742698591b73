"""Verification as insightface's program computes it, for comparison with published figures.

https://github.com/deepinsight/insightface, recognition/arcface_torch/eval/verification.py: ten
folds of consecutive pairs; squared distances of embeddings of length 1; of the thresholds 0, 0.01,
... 3.99 the first that is most accurate on the other nine folds; a pair is genuine whose distance
is less.
"""

import numpy as np

from facemill.model.protocols.lfw import Pair, PairList
from facemill.transforms.core.errors import UsageError

_FOLDS = 10
_THRESHOLDS = np.arange(0, 4, 0.01)


def pair_list(images: list[str], labels: list[bool], name: str) -> PairList:
    """The pairs (0, 1), (2, 3), ... of images in their order, in ten folds of consecutive pairs.

    Args:
        images: [2 N] names.
        labels: [N], whether the two show one identity.
        name: of the file, for messages.

    Raises:
        UsageError: there are fewer than ten pairs, or nine folds lack a class.
    """
    if len(labels) < _FOLDS:
        raise UsageError(
            f"{name} must have ten pairs or more, one for each fold, got {len(labels)}; give the "
            "whole file."
        )
    parts = np.array_split(np.arange(len(labels)), _FOLDS)
    fold = np.repeat(np.arange(_FOLDS), [len(part) for part in parts])
    truth = np.array(labels)
    for held_out in range(_FOLDS):
        if len(np.unique(truth[fold != held_out])) < 2:
            raise UsageError(
                f"{name} must have genuine and impostor pairs in any nine of its ten folds, but "
                f"those without fold {held_out + 1} are all of one kind; give the whole file."
            )
    pairs = zip(images[::2], images[1::2], labels, fold.tolist(), strict=True)
    return PairList(view=None, folds=_FOLDS, pairs=tuple(Pair(*row) for row in pairs))


def accuracy(scores: np.ndarray, genuine: np.ndarray, fold: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (with n) of the folds' accuracies.

    Args:
        scores: cosines, float64 [N]; -inf for a pair that is not compared.
        genuine: bool [N].
        fold: int64 [N], from 0.
    """
    right = (2 - 2 * scores < _THRESHOLDS[:, None]) == genuine
    found = []
    for held_out in range(int(fold.max()) + 1):
        here = fold == held_out
        best = int(np.argmax(right[:, ~here].mean(axis=1)))
        found.append(float(right[best, here].mean()))
    return float(np.mean(found)), float(np.std(found))
