"""Every pair of a set of embeddings, counted by score.

A set of n images has n (n - 1) / 2 pairs, too many to keep. So scores are counted in a fine grid,
and all rates are exact at the thresholds of that grid.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.model.metrics import verification
from facemill.pipelines.evaluate.faces import read_faces
from facemill.transforms.core.errors import UsageError

# Scores from -1 to 1 in steps of 2 ** -19.
_BINS = 1 << 20
_BLOCK = 1024
# Steps of a histogram, and scores of a class that it is made of.
_COARSE, _SAMPLE = 256, 10_000


@dataclass(frozen=True)
class Named:
    """The embeddings of images that have an identity.

    Attributes:
        vectors: float32 [N, D], of length 1.
        labels: int64 [N], index of `identities`.
        identities: names, sorted.
        unnamed: how many embeddings have no identity.
    """

    vectors: np.ndarray
    labels: np.ndarray
    identities: tuple[str, ...]
    unnamed: int


@dataclass(frozen=True)
class Counts:
    """How many pairs have each score.

    Attributes:
        genuine: int64 [K]; the last is the highest score.
        impostor: int64 [K].
    """

    genuine: np.ndarray
    impostor: np.ndarray


def read_named(path: str, manifest: Mapping[str, Any]) -> Named:
    """Reads all embeddings.

    Args:
        path: of the embeddings.
        manifest: of them.

    Raises:
        UsageError: fewer than two identities, or none with two images.
        RunError: a part differs from its manifest, or an embedding is not finite or all zeros.
    """
    faces = read_faces(path, manifest)
    names = faces.identities
    named = np.array([name is not None for name in names], bool)
    kept = [name for name in names if name is not None]
    identities, labels = np.unique(np.array(kept, object), return_inverse=True)
    if len(identities) < 2 or np.bincount(labels).max() < 2:
        raise UsageError(
            "`embeddings` must have two identities or more, one with two images, for `pairs` all, "
            f"got {len(identities):,} identities of {len(kept):,} images; score images that name "
            "their identities."
        )
    return Named(
        faces.vectors[named], labels, tuple(identities.tolist()), int(np.count_nonzero(~named))
    )


def count(named: Named, done: Callable[[int], None] = lambda rows: None) -> Counts:
    """Scores all pairs, each once.

    Args:
        named: the embeddings.
        done: is told how many images have met all later ones.
    """
    genuine = np.zeros(_BINS, np.int64)
    impostor = np.zeros(_BINS, np.int64)
    total = len(named.vectors)
    for start in range(0, total, _BLOCK):
        rows = slice(start, min(start + _BLOCK, total))
        for other in range(start, total, _BLOCK * 4):
            columns = slice(other, min(other + _BLOCK * 4, total))
            scores = named.vectors[rows] @ named.vectors[columns].T
            bins = np.clip(((scores + 1) * (_BINS // 2)).astype(np.int64), 0, _BINS - 1)
            same = named.labels[rows, None] == named.labels[None, columns]
            # Each pair once: the second image comes after the first.
            firsts, seconds = (np.arange(part.start, part.stop) for part in (rows, columns))
            after = seconds > firsts[:, None]
            genuine += np.bincount(bins[same & after], minlength=_BINS)
            impostor += np.bincount(bins[~same & after], minlength=_BINS)
        done(rows.stop)
    return Counts(genuine, impostor)


def curve(counts: Counts) -> verification.Roc:
    """FMR and FNMR at the thresholds of the grid that separate the scores differently."""
    filled = np.flatnonzero(counts.genuine + counts.impostor)[::-1]
    accepted = np.cumsum(counts.genuine[filled]), np.cumsum(counts.impostor[filled])
    edges = filled / (_BINS // 2) - 1.0
    return verification.Roc(
        threshold=np.concatenate([[np.inf], edges]),
        fmr=np.concatenate([[0.0], accepted[1] / counts.impostor.sum()]),
        fnmr=np.concatenate([[1.0], 1 - accepted[0] / counts.genuine.sum()]),
    )


def figures(named: Named, counts: Counts) -> dict[str, Any]:
    """What `results.json` holds of them: FAR goes down to what the impostor pairs support."""
    genuine, impostor = int(counts.genuine.sum()), int(counts.impostor.sum())
    roc = curve(counts)
    rate, threshold = verification.equal_error_rate(roc)
    fars = [10.0**-exponent for exponent in range(1, 13)]
    fars = [far for far in fars if verification.supports(impostor, far)] or fars[:1]
    rows = verification.tar_at_far_of(roc, genuine, impostor, fars)
    return {
        "protocol": "all-pairs",
        "images": len(named.vectors),
        "identities": len(named.identities),
        "without_identity": named.unnamed,
        "pairs": {"genuine": genuine, "impostor": impostor, "missing": 0},
        "rates": ["FMR", "FNMR"],
        "equal_error_rate": {"rate": rate, "threshold": threshold},
        "tar_at_far": verification.as_json(rows),
        "threshold_step": 2 / _BINS,
    }


def samples(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Some ten thousand genuine and impostor scores in the proportions of all, for a histogram.

    Args:
        counts: of all pairs.

    Returns:
        float64 [N] and [M], the middles of coarse steps, each as often as its share says.
    """
    steps = _BINS // _COARSE
    middles = (np.arange(_COARSE) + 0.5) * 2 / _COARSE - 1
    found = []
    for fine in (counts.genuine, counts.impostor):
        coarse = fine.reshape(_COARSE, steps).sum(axis=1)
        # Rounded up, so that the rarest scores are seen.
        scale = min(1.0, _SAMPLE / max(1, int(coarse.sum())))
        found.append(np.repeat(middles, np.ceil(coarse * scale).astype(np.int64)))
    return found[0], found[1]


def extremes(counts: Counts) -> tuple[float, float]:
    """The lowest and the highest score, to within a step of the grid."""
    filled = np.flatnonzero(counts.genuine + counts.impostor)
    lowest, highest = (float(filled[at]) / (_BINS // 2) - 1.0 for at in (0, -1))
    return lowest, highest
