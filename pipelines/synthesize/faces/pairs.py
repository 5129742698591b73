"""Draws verification pairs and writes them as LFW's View 2 does (`pairs.txt`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

import numpy as np

from facemill.pipelines.synthesize.faces import keyed
from facemill.transforms.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Fold:
    """Pairs of one fold: (name, i, j) of one identity, (name, i, name, j) of two."""

    genuine: tuple[tuple[str, int, int], ...]
    impostor: tuple[tuple[str, int, str, int], ...]


def draw_pairs(
    images: Mapping[str, Collection[int]], folds: int, pairs: int, seed: int
) -> tuple[Fold, ...]:
    """Draws as many genuine as impostor pairs per fold; no identity is in two folds, no pair twice.

    Args:
        images: The numbers of the images of each identity.
        folds: 1 or more.
        pairs: Genuine pairs per fold, 1 or more; as many impostor pairs are drawn.
        seed: The same images and seed give the same pairs.

    Raises:
        UsageError: There are too few identities or images for so many different pairs.
    """
    random = keyed.generator(seed, keyed.PAIRS, folds, pairs)
    names = sorted(images)
    order = [names[k] for k in random.permutation(len(names))]
    return tuple(
        _draw_fold({name: sorted(images[name]) for name in sorted(order[k::folds])}, pairs, random)
        for k in range(folds)
    )


def _draw_fold(images: dict[str, list[int]], pairs: int, random: np.random.Generator) -> Fold:
    counts = np.array([len(numbers) for numbers in images.values()], np.int64)
    same = counts * (counts - 1) // 2
    total = int(counts.sum())
    genuine, impostor = int(same.sum()), total * (total - 1) // 2 - int(same.sum())
    if min(genuine, impostor) < pairs:
        raise UsageError(
            f"--pairs needs {pairs} different genuine and {pairs} different impostor pairs in each "
            f"fold, but a fold of {len(counts)} identities and {total} images has {genuine} and "
            f"{impostor}; raise --identities or --images-per-identity, or ask for fewer pairs or "
            "folds."
        )
    names = list(images)
    pick = random.choice(genuine, pairs, replace=False)
    whose = np.searchsorted(np.cumsum(same), pick, side="right")
    before = np.cumsum(same) - same
    chosen = []
    for identity, rank in zip(whose.tolist(), (pick - before[whose]).tolist(), strict=True):
        numbers = images[names[identity]]
        second = int((1 + np.sqrt(1 + 8 * rank)) / 2)  # rank = second * (second - 1) / 2 + first
        chosen.append(
            (names[identity], numbers[rank - second * (second - 1) // 2], numbers[second])
        )
    owner = np.repeat(np.arange(len(names)), counts)
    number = [k for numbers in images.values() for k in numbers]

    def stranger() -> tuple[str, int, str, int] | None:
        a, b = sorted(random.integers(total, size=2).tolist())
        if owner[a] == owner[b]:
            return None
        return names[owner[a]], number[a], names[owner[b]], number[b]

    return Fold(tuple(sorted(chosen)), tuple(sorted(_distinct(stranger, pairs))))


def _distinct(
    draw: Callable[[], tuple[str, int, str, int] | None], wanted: int
) -> set[tuple[str, int, str, int]]:
    found: set[tuple[str, int, str, int]] = set()
    while len(found) < wanted:
        pair = draw()
        if pair is not None:
            found.add(pair)
    return found


def format_pairs(folds: tuple[Fold, ...]) -> str:
    """Returns the text of `pairs.txt`: folds and pairs, then the genuine and impostor lines."""
    lines = [f"{len(folds)}\t{len(folds[0].genuine)}"]
    for fold in folds:
        lines += ["\t".join(map(str, pair)) for pair in (*fold.genuine, *fold.impostor)]
    return "\n".join(lines) + "\n"
