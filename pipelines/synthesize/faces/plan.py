"""Decides which files a synthetic collection holds, before any of them is drawn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from facemill.pipelines.synthesize.faces import keyed
from facemill.pipelines.synthesize.faces.pairs import draw_pairs, format_pairs
from facemill.pipelines.synthesize.faces.recipe import (
    COPY_KINDS,
    KINDS,
    MAX_IMAGES,
    Recipe,
    file_name,
    identity_name,
)
from facemill.transforms.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Plant:
    """One file that is added to the original images.

    Attributes:
        kind: One of `recipe.KINDS`.
        folder: Index of the identity in whose folder it lies.
        number: Of the file in that folder, following the original images.
        identity: Index of the identity that the image shows; `folder` if it shows none.
        image: Which of that identity's images is drawn; of a copy, the number of its source.
    """

    kind: str
    folder: int
    number: int
    identity: int
    image: int

    @property
    def source(self) -> str | None:
        """image_id of the image that it is a copy of; None if it is no copy."""
        return file_name(self.identity, self.image) if self.kind in COPY_KINDS else None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The files of a collection.

    Attributes:
        recipe: What was asked for.
        counts: Original images of each identity, int64 [identities].
        plants: The other files.
        pairs: The text of `pairs.txt`, or None.
    """

    recipe: Recipe
    counts: np.ndarray
    plants: tuple[Plant, ...]
    pairs: str | None


def make_plan(recipe: Recipe) -> Plan:
    """Returns the plan of a recipe; the same recipe has the same plan.

    Raises:
        UsageError: More copies are asked for than there are original images to take them from, or
            an image under another identity while there is only one, or more pairs than the images
            give.
    """
    counts = _counts(recipe)
    plants = _plants(recipe, counts)
    pairs = None
    if recipe.pairs is not None:
        images = _pairable(recipe, counts, plants)
        pairs = format_pairs(draw_pairs(images, *recipe.pairs, recipe.seed))
    return Plan(recipe, counts, plants, pairs)


def _pairable(
    recipe: Recipe, counts: np.ndarray, plants: tuple[Plant, ...]
) -> dict[str, list[int]]:
    """Returns the numbers of the original images of each identity, without sources of conflicts.

    An ingest keeps neither side of a conflict, and the images of pairs should be kept.
    """
    lost = {(plant.identity, plant.image) for plant in plants if plant.kind == "conflict"}
    return {
        identity_name(identity): [
            number for number in range(1, count + 1) if (identity, number) not in lost
        ]
        for identity, count in enumerate(counts.tolist(), recipe.start_identity)
    }


def _counts(recipe: Recipe) -> np.ndarray:
    """Returns the number of original images per identity, int64 [identities]."""
    most = recipe.images_per_identity
    if recipe.long_tail is None:
        return np.full(recipe.identities, most, np.int64)
    first = recipe.start_identity
    shares = [
        keyed.uniforms(recipe.seed, keyed.COUNT, identity, 0, 1)[0] ** recipe.long_tail
        for identity in range(first, first + recipe.identities)
    ]
    return np.array([max(1, math.ceil(most * share)) for share in shares], np.int64)


def _plants(recipe: Recipe, counts: np.ndarray) -> tuple[Plant, ...]:
    wanted = [kind for kind in KINDS for _ in range(recipe.plants.get(kind, 0))]
    total, copies = int(counts.sum()), sum(kind in COPY_KINDS for kind in wanted)
    if copies > total:
        raise UsageError(
            f"--plant must not ask for more copies than there are original images ({total}), got "
            f"{copies}; ask for fewer or raise --identities or --images-per-identity."
        )
    if recipe.identities < 2 and {"conflict", "mislabel"} & set(wanted):
        raise UsageError(
            "--plant conflict and mislabel need a second identity, got --identities 1; raise it."
        )
    random = keyed.generator(recipe.seed, keyed.PLAN, recipe.start_identity)
    sources = iter(random.choice(total, copies, replace=False).tolist())
    homes = iter(_spread(random, recipe.identities, len(wanted) - copies))
    starts = np.concatenate([[0], np.cumsum(counts)])
    used = counts.copy()
    plants = []
    for order, kind in enumerate(wanted):
        if kind in COPY_KINDS:
            source = next(sources)
            home = shown = int(np.searchsorted(starts, source, side="right")) - 1
            image = source - int(starts[shown]) + 1
        else:
            home = shown = next(homes)
            image = MAX_IMAGES + order
        if kind in ("conflict", "mislabel"):
            home = (shown + 1 + int(random.integers(recipe.identities - 1))) % recipe.identities
        used[home] += 1
        first = recipe.start_identity
        plants.append(Plant(kind, first + home, int(used[home]), first + shown, image))
    return tuple(plants)


def _spread(random: np.random.Generator, identities: int, wanted: int) -> list[int]:
    """Returns `wanted` identities; each is drawn once before any is drawn again."""
    rounds = -(-wanted // identities)
    order = [random.permutation(identities) for _ in range(rounds)]
    return np.concatenate([*order, np.empty(0, np.int64)])[:wanted].astype(int).tolist()
