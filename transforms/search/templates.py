"""One template of all images of a person: their mean, by quality and without outliers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The least weight of an image, as a share of the best: a poor photo still says something.
_LEAST = 0.1
# Fewer images than this do not say which of them is wrong.
_ENOUGH = 3
# Outliers without a threshold: beyond three standard deviations below the median, estimated from
# the median absolute deviation (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), and
# by this much at least, so that among images that are all alike none is one.
_DEVIATIONS, _TO_SIGMA, _APART = 3.0, 1.4826, 0.15


@dataclass(frozen=True)
class Template:
    """What the images of a person give.

    Attributes:
        vector: float32 [D], of length 1.
        best: index of the image with the most weight.
        used: bool [N], which images are in it.
        agreement: float64 [N], mean cosine of each image with the others; 1 for a single one.
    """

    vector: np.ndarray
    best: int
    used: np.ndarray
    agreement: np.ndarray


def template(vectors: np.ndarray, weights: np.ndarray, threshold: float | None = None) -> Template:
    """The weighted mean of a person's images, of length 1.

    An outlier agrees less with the others than the threshold, or without one far less than most of
    them do. Outliers are left out unless they are half of the images or more, since then nobody
    knows which half is the person.

    Args:
        vectors: float32 [N, D], of length 1, N at least 1; in a fixed order.
        weights: float64 [N], above 0.
        threshold: least mean cosine with the others; None for a bound that follows from them.
    """
    wide = vectors.astype(np.float64)
    count = len(wide)
    total = wide.sum(axis=0)
    agreement = ((wide * total).sum(axis=1) - 1) / (count - 1) if count > 1 else np.ones(1)
    used = np.ones(count, bool)
    if count >= _ENOUGH:
        outliers = agreement < (_bound(agreement) if threshold is None else threshold)
        if 2 * np.count_nonzero(outliers) < count:
            used = ~outliers
    mean = (wide[used] * weights[used, None]).sum(axis=0)
    length = np.sqrt((mean * mean).sum())
    best = int(np.argmax(np.where(used, weights, -1.0)))
    # Images that cancel each other out have no mean direction.
    vector = mean / length if length > 0 else wide[best]
    return Template(vector.astype(np.float32), best, used, agreement)


def quality_weights(
    sharpness: Sequence[float | None], face_scores: Sequence[float | None]
) -> np.ndarray:
    """The weight of each image of a person: float64 [N], in (0, 1].

    The detector's confidence in the face, times the sharpness as a share of the person's median,
    at most 1: sharper than usual is no better. What is not known counts as 1.

    Args:
        sharpness: of the crops, 0 or more, or None.
        face_scores: in [0, 1], or None.
    """
    scores = np.array([1.0 if one is None else one for one in face_scores], np.float64)
    known = np.array([np.nan if one is None else one for one in sharpness], np.float64)
    middle = np.nanmedian(known) if np.isfinite(known).any() else 0.0
    shares = np.minimum(known / middle, 1.0) if middle > 0 else np.ones(len(known))
    return np.maximum(np.nan_to_num(shares, nan=1.0) * np.clip(scores, 0, 1), _LEAST)


def _bound(agreement: np.ndarray) -> float:
    middle = float(np.median(agreement))
    spread = _TO_SIGMA * float(np.median(np.abs(agreement - middle)))
    return middle - max(_DEVIATIONS * spread, _APART)
