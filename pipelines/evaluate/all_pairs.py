"""Every pair of a set of embeddings, counted by score; all rates are exact on the grid of scores.

`transforms.search.pair_counts` counts them, in threads of this process or, where flags of Beam
name a runner, in its workers.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facemill.model.metrics import verification
from facemill.pipelines.common.progress import Progress
from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError, RunError, UsageError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset.done_marks import images_done
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet
from facemill.transforms.search.pair_counts import (
    BINS,
    IDENTITY,
    PairCounts,
    PairPlan,
    count_tasks,
)

if TYPE_CHECKING:
    from facemill.pipelines.common.runner import Runner

# Steps of a histogram, and scores of a class that it is made of.
_COARSE, _SAMPLE = 256, 10_000
_COUNTS, _PROGRESS = "pairs.bin", "progress"


@dataclass(frozen=True)
class People:
    """Who is in a set of embeddings.

    Attributes:
        images: how many have an identity.
        identities: names, sorted.
        unnamed: how many embeddings have no identity.
        rows: of each part.
    """

    images: int
    identities: tuple[str, ...]
    unnamed: int
    rows: tuple[int, ...]


def read_people(given: EmbeddingSet) -> People:
    """Reads the names of a set; eight bytes for each image stay in memory meanwhile.

    Raises:
        UsageError: fewer than two identities, or none with two images.
        RunError: a part differs from its manifest, or an image has two rows.
    """
    given.check_files()
    sizes: dict[str, int] = {}
    keys = [np.zeros(0, np.uint64)]
    unnamed = 0
    for table in given.tables(given.all_slices(), (ID, IDENTITY)):
        ids = table[ID].to_pylist()
        keys.append(np.fromiter((keyed_hash(0, "row", name) for name in ids), np.uint64, len(ids)))
        for name in table[IDENTITY].to_pylist():
            if name:
                sizes[name] = sizes.get(name, 0) + 1
            else:
                unnamed += 1
    joined = np.sort(np.concatenate(keys))
    if np.any(joined[1:] == joined[:-1]):
        raise RunError(
            f"Each image must have one row in {given.path}, but some have two; score the images "
            "again."
        )
    images = sum(sizes.values())
    if len(sizes) < 2 or max(sizes.values()) < 2:
        raise UsageError(
            "`embeddings` must have two identities or more, one with two images, for `pairs` all, "
            f"got {len(sizes):,} identities of {images:,} images; score images that name "
            "their identities."
        )
    return People(images, tuple(sorted(sizes)), unnamed, tuple(given.part_rows()))


def count_here(plan: PairPlan, threads: int) -> PairCounts:
    """Counts all pairs in threads of this process.

    Args:
        plan: of the pairs.
        threads: that count; never changes the result.
    """
    tasks = plan.tasks()
    found = PairCounts.zero()
    done = [0]
    with Progress("blocks of pairs compared", lambda: done[0], lambda: len(tasks)):
        for counts in count_tasks(plan, tasks, threads):
            found.add(counts)
            done[0] += 1
    return found


def count_by_runner(
    plan: PairPlan, threads: int, runner: "Runner", work: Work
) -> tuple[PairCounts, dict[str, Any]]:
    """Counts all pairs in the workers of a runner; each reads blocks from the parts itself.

    Args:
        plan: of the pairs.
        threads: that count in each worker process; never changes the result.
        runner: the runner.
        work: the run, in whose scratch the sum is written.

    Returns:
        The counts, and what `run.json` says of the run.

    Raises:
        RunError: the runner failed.
    """
    # Counting in this process needs no Beam, whose import takes seconds.
    from facemill.transforms.search.pair_counts_transform import CountPairs

    path, marks = work.path(_COUNTS), work.path(_PROGRESS)
    progress = Progress(
        "blocks of pairs compared",
        functools.partial(images_done, marks),
        lambda: len(plan.tasks()),
    )
    run_info = runner.run(
        lambda pipeline: pipeline | "CountPairs" >> CountPairs(plan, threads, path, marks),
        progress,
        work.output,
    )
    found = PairCounts.zero()
    try:
        found.add_bytes(storage.read_bytes(path))
    except FileNotFoundError:
        raise NotSharedError(path, machine=None) from None
    return found, run_info


def curve(counts: PairCounts) -> verification.Roc:
    """FMR and FNMR at the thresholds of the grid that separate the scores differently."""
    filled = np.flatnonzero(counts.genuine + counts.impostor)[::-1]
    accepted = np.cumsum(counts.genuine[filled]), np.cumsum(counts.impostor[filled])
    edges = filled / (BINS // 2) - 1.0
    return verification.Roc(
        threshold=np.concatenate([[np.inf], edges]),
        fmr=np.concatenate([[0.0], accepted[1] / counts.impostor.sum()]),
        fnmr=np.concatenate([[1.0], 1 - accepted[0] / counts.genuine.sum()]),
    )


def figures(people: People, counts: PairCounts) -> dict[str, Any]:
    """What `results.json` holds of them: FAR goes down to what the impostor pairs support."""
    genuine, impostor = int(counts.genuine.sum()), int(counts.impostor.sum())
    roc = curve(counts)
    rate, threshold = verification.equal_error_rate(roc)
    fars = [10.0**-exponent for exponent in range(1, 13)]
    fars = [far for far in fars if verification.supports(impostor, far)] or fars[:1]
    rows = verification.tar_at_far_of(roc, genuine, impostor, fars)
    return {
        "protocol": "all-pairs",
        "images": people.images,
        "identities": len(people.identities),
        "without_identity": people.unnamed,
        "pairs": {"genuine": genuine, "impostor": impostor, "missing": 0},
        "rates": ["FMR", "FNMR"],
        "equal_error_rate": {"rate": rate, "threshold": threshold},
        "tar_at_far": verification.as_json(rows),
        "threshold_step": 2 / BINS,
    }


def samples(counts: PairCounts) -> tuple[np.ndarray, np.ndarray]:
    """Some ten thousand genuine and impostor scores in the proportions of all, for a histogram.

    Args:
        counts: of all pairs.

    Returns:
        float64 [N] and [M], the middles of coarse steps, each as often as its share says.
    """
    steps = BINS // _COARSE
    middles = (np.arange(_COARSE) + 0.5) * 2 / _COARSE - 1
    found = []
    for fine in (counts.genuine, counts.impostor):
        coarse = fine.reshape(_COARSE, steps).sum(axis=1)
        # Rounded up, so that the rarest scores are seen.
        scale = min(1.0, _SAMPLE / max(1, int(coarse.sum())))
        found.append(np.repeat(middles, np.ceil(coarse * scale).astype(np.int64)))
    return found[0], found[1]


def extremes(counts: PairCounts) -> tuple[float, float]:
    """The lowest and the highest score, to within a step of the grid."""
    filled = np.flatnonzero(counts.genuine + counts.impostor)
    lowest, highest = (float(filled[at]) / (BINS // 2) - 1.0 for at in (0, -1))
    return lowest, highest
