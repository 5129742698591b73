"""Every pair of a set of embeddings, counted by score; all rates are exact on the grid of scores.

Where scores lie so close together that a step of the grid holds many pairs, the steps in which
the thresholds lie are counted again in finer ones.

`transforms.search.pair_counts` counts them, in threads of this process or, where flags of Beam
name a runner, in its workers.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facemill.model.metrics import verification
from facemill.pipelines.common.progress import Progress
from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError, UsageError
from facemill.transforms.dataset.done_marks import images_done
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet
from facemill.transforms.scoring.one_row_each import OneRowEach
from facemill.transforms.search.pair_counts import (
    BINS,
    IDENTITY,
    Grid,
    PairCounts,
    PairPlan,
    count_tasks,
)

if TYPE_CHECKING:
    from facemill.pipelines.common.runner import Runner

# Steps of a histogram, and scores of a class that it is made of.
_COARSE, _SAMPLE = 256, 10_000
# Share of the genuine pairs in a threshold's step above which it is counted in finer ones.
_DOUBT = 1e-4


@dataclass(frozen=True)
class Zoom:
    """Steps of the whole grid that are counted again in finer ones.

    Attributes:
        first: the lowest of them.
        last: the highest of them.
    """

    first: int
    last: int

    @property
    def finer(self) -> int:
        """Fine steps in each, a power of two."""
        # One more at either end takes the scores outside.
        wide = self.last - self.first + 3
        return BINS >> (wide - 1).bit_length()

    @property
    def grid(self) -> Grid:
        """The fine steps."""
        whole = Grid()
        return Grid(whole.lowest + (self.first - 1) * whole.step, whole.step / self.finer)

    @property
    def inside(self) -> slice:
        """Those of the fine steps that divide `first` to `last`.

        The last step of the whole grid holds all higher scores too, such as those above 1 of
        equal vectors whose length is not quite 1, and the first all lower ones.
        """
        start = self.finer if self.first > 0 else 0
        above = self.last == BINS - 1
        return slice(start, BINS if above else self.finer * (self.last - self.first + 2))


@dataclass(frozen=True)
class Counted:
    """All pairs, counted by score.

    Attributes:
        whole: in the whole grid.
        zoom: which of its steps were counted again; None if none had to be.
        fine: these, in the grid of `zoom`.
    """

    whole: PairCounts
    zoom: Zoom | None = None
    fine: PairCounts | None = None

    def steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each step that holds pairs begins, its genuine and its impostor pairs, ascending.

        Returns:
            float64 [K], int64 [K] and int64 [K].
        """
        whole = Grid()
        edges = whole.lowest + np.arange(BINS) * whole.step
        genuine, impostor = self.whole.genuine, self.whole.impostor
        if self.zoom is not None and self.fine is not None:
            zoom, inside = self.zoom, self.zoom.inside
            numbers = np.arange(inside.start, inside.stop)
            fine = zoom.grid.lowest + numbers * zoom.grid.step
            edges, genuine, impostor = (
                np.concatenate([outer[: zoom.first], inner, outer[zoom.last + 1 :]])
                for outer, inner in (
                    (edges, fine),
                    (genuine, self.fine.genuine[inside]),
                    (impostor, self.fine.impostor[inside]),
                )
            )
        filled = np.flatnonzero(genuine + impostor)
        return edges[filled], genuine[filled], impostor[filled]


def count_twice(plan: PairPlan, count: Callable[[PairPlan], PairCounts]) -> Counted:
    """Counts all pairs, and some again in finer steps where many lie in a threshold's step.

    Args:
        plan: of the pairs.
        count: counts them.
    """
    whole = count(plan)
    zoom = zoom_of(whole)
    if zoom is None:
        return Counted(whole)
    return Counted(whole, zoom, count(dataclasses.replace(plan, grid=zoom.grid)))


def zoom_of(counts: PairCounts) -> Zoom | None:
    """The steps to count again: of the thresholds of `figures` in whose step many pairs lie.

    Args:
        counts: in the whole grid.

    Returns:
        None if no threshold would move a rate by more than 0.01 %.
    """
    roc = curve(Counted(counts))
    at = [verification.last_at(roc, far) + 1 for far in _fars(int(counts.impostor.sum()))]
    at.append(int(np.argmax(roc.fmr >= roc.fnmr)))
    moved = [
        step
        for step in at
        if step < len(roc.threshold) and roc.fnmr[step - 1] - roc.fnmr[step] > _DOUBT
    ]
    if not moved:
        return None
    whole = Grid()
    steps = [round((float(roc.threshold[one]) - whole.lowest) / whole.step) for one in moved]
    return Zoom(min(steps), max(steps))


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
    images_once = OneRowEach(given.path)
    unnamed = 0
    for table in given.tables(given.all_slices(), (ID, IDENTITY)):
        images_once.add(table[ID].to_pylist())
        for name in table[IDENTITY].to_pylist():
            if name:
                sizes[name] = sizes.get(name, 0) + 1
            else:
                unnamed += 1
    images_once.check()
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

    pass_name = "all" if plan.grid == Grid() else "fine"
    path, marks = work.path(f"pairs-{pass_name}.bin"), work.path(f"progress-{pass_name}")
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


def curve(counted: Counted) -> verification.Roc:
    """FMR and FNMR at the thresholds of the grid that separate the scores differently."""
    edges, genuine, impostor = (values[::-1] for values in counted.steps())
    return verification.Roc(
        threshold=np.concatenate([[np.inf], edges]),
        fmr=np.concatenate([[0.0], np.cumsum(impostor) / impostor.sum()]),
        fnmr=np.concatenate([[1.0], 1 - np.cumsum(genuine) / genuine.sum()]),
    )


def figures(people: People, counted: Counted) -> dict[str, Any]:
    """What `results.json` holds of them: FAR goes down to what the impostor pairs support.

    A TAR is a lower bound: `tar_at_most` counts in the step of scores below the threshold too, in
    which the exact threshold lies.
    """
    counts = counted.whole
    genuine, impostor = int(counts.genuine.sum()), int(counts.impostor.sum())
    roc = curve(counted)
    rate, threshold = verification.equal_error_rate(roc)
    fars = _fars(impostor)
    rows = verification.as_json(verification.tar_at_far_of(roc, genuine, impostor, fars))
    for far, row in zip(fars, rows, strict=True):
        if row["supported"]:
            below = min(verification.last_at(roc, far) + 1, len(roc.fnmr) - 1)
            row["tar_at_most"] = 1 - round(float(roc.fnmr[below]) * genuine) / genuine
    return {
        "protocol": "all-pairs",
        "images": people.images,
        "identities": len(people.identities),
        "without_identity": people.unnamed,
        "pairs": {"genuine": genuine, "impostor": impostor, "missing": 0},
        "rates": ["FMR", "FNMR"],
        "equal_error_rate": {"rate": rate, "threshold": threshold},
        "tar_at_far": rows,
        "threshold_step": (Grid() if counted.zoom is None else counted.zoom.grid).step,
    }


def _fars(impostor: int) -> list[float]:
    """The rates that are reported."""
    fars = [10.0**-exponent for exponent in range(1, 13)]
    return [far for far in fars if verification.supports(impostor, far)] or fars[:1]


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
