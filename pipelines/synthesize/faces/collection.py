"""Writes a collection of synthetic faces: folder per identity, truth table, pairs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator

import numpy as np

from facemill.pipelines.synthesize.faces import broken
from facemill.pipelines.synthesize.faces.copies import copy_of
from facemill.pipelines.synthesize.faces.faces import encode_jpeg, render
from facemill.pipelines.synthesize.faces.plan import Plan, Plant, make_plan
from facemill.pipelines.synthesize.faces.recipe import (
    BROKEN_KINDS,
    COPY_KINDS,
    ORIGINAL,
    Recipe,
    file_name,
    identity_name,
)
from facemill.pipelines.synthesize.faces.truth import TrueRow, write_truth
from facemill.transforms import storage
from facemill.transforms.core import processes
from facemill.transforms.images.process import prepare_process

IMAGES, TRUTH, PAIRS = "images", "truth.parquet", "pairs.txt"

_CHUNK_IMAGES = 500
"""Images per unit of work: a third of a second. It also sets the row groups of the truth table, so
it must not depend on the number of workers."""

_PNG_KINDS = ("16-bit", "alpha", "bomb")
_ORIENTATIONS = (6, 8, 3)


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Consecutive identities of a collection, with the number of original images of each."""

    folder: str
    recipe: Recipe
    counts: tuple[tuple[int, int], ...]
    plants: tuple[Plant, ...]


def write(root: str, recipe: Recipe, workers: int = 1) -> dict[str, int]:
    """Writes `images/`, `truth.parquet` and, if asked for, `pairs.txt` into a directory.

    The image `id00003/id00003_0002.jpg` is `faces.render(seed, 3, 2, image_size)`. The same recipe
    gives the same bytes with any number of workers.

    Args:
        root: Directory, made if absent; it must not hold `images`.
        recipe: What to write.
        workers: Processes, 1 or more.

    Returns:
        The number of files of each kind, "original" and those planted.

    Raises:
        UsageError: The recipe asks for what its images cannot give (plants, pairs).
        FileExistsError: There is an `images` already.
        concurrent.futures.BrokenExecutor: A worker was killed.
    """
    return write_plan(root, make_plan(recipe), workers)


def write_plan(
    root: str, plan: Plan, workers: int = 1, drawn: Callable[[int], None] = lambda images: None
) -> dict[str, int]:
    """Does what `write` does for a recipe whose plan was made before.

    Args:
        root: see `write`.
        plan: of the collection.
        workers: see `write`.
        drawn: is called with the number of images of each piece of work that is done.
    """
    folder = os.path.join(root, IMAGES)
    storage.make_folders(root)
    storage.make_new_folder(folder)
    if plan.pairs is not None:
        storage.write_new(os.path.join(root, PAIRS), plan.pairs.encode("utf-8"))
    chunks = list(_chunks(folder, plan))
    truth = os.path.join(root, TRUTH)
    if min(workers, len(chunks)) < 2:
        return write_truth(truth, _reported(map(write_chunk, chunks), drawn))
    with contextlib.closing(_in_processes(chunks, min(workers, len(chunks)))) as groups:
        return write_truth(truth, _reported(groups, drawn))


def _reported(
    groups: Iterable[list[TrueRow]], drawn: Callable[[int], None]
) -> Iterator[list[TrueRow]]:
    for rows in groups:
        drawn(len(rows))
        yield rows


def _in_processes(chunks: list[Chunk], workers: int) -> Generator[list[TrueRow], None, None]:
    """Yields the rows of each chunk, in order. Closing it stops the work that has not begun."""
    executor = processes.executor(workers)
    try:
        yield from executor.map(write_chunk, chunks)
    finally:
        executor.shutdown(cancel_futures=True)


def _chunks(folder: str, plan: Plan) -> Iterator[Chunk]:
    """Cuts a plan between identities, so that no two workers write into one folder."""
    plants = sorted(plan.plants, key=lambda plant: (plant.folder, plant.number))
    position = 0
    counts: list[tuple[int, int]] = []
    images = 0
    total = len(plan.counts)
    for order, count in enumerate(plan.counts.tolist(), 1):
        counts.append((plan.recipe.start_identity + order - 1, count))
        images += count
        if images >= _CHUNK_IMAGES or order == total:
            last = counts[-1][0]
            mine = itertools.takewhile(lambda plant: plant.folder <= last, plants[position:])  # noqa: B023
            chosen = tuple(mine)
            position += len(chosen)
            yield Chunk(folder, plan.recipe, tuple(counts), chosen)
            counts, images = [], 0


def write_chunk(chunk: Chunk) -> list[TrueRow]:
    """Draws and writes the files of some identities; returns their rows by folder and number."""
    prepare_process()
    recipe = chunk.recipe
    plants = iter(chunk.plants)
    waiting = next(plants, None)
    rows = []
    for identity, count in chunk.counts:
        storage.make_new_folder(os.path.join(chunk.folder, identity_name(identity)))
        for number in range(1, count + 1):
            pixels = render(recipe.seed, identity, number, recipe.image_size)
            data = encode_jpeg(pixels, recipe.quality)
            plain = Plant(ORIGINAL, identity, number, identity, number)
            rows.append(_write(chunk.folder, plain, data, recipe.image_size, recipe.image_size))
        while waiting is not None and waiting.folder == identity:
            rows.append(_write(chunk.folder, waiting, *_planted(waiting, recipe)))
            waiting = next(plants, None)
    return rows


def _write(
    folder: str, plant: Plant, data: bytes, width: int | None, height: int | None
) -> TrueRow:
    extension = ".png" if plant.kind in _PNG_KINDS else ".jpg"
    image_id = file_name(plant.folder, plant.number, extension)
    storage.write_new(os.path.join(folder, image_id), data)
    return TrueRow(
        image_id=image_id,
        identity=identity_name(plant.identity),
        folder_identity=identity_name(plant.folder),
        kind=plant.kind,
        source_image_id=plant.source,
        readable=plant.kind not in BROKEN_KINDS,
        width=width,
        height=height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _planted(plant: Plant, recipe: Recipe) -> tuple[bytes, int | None, int | None]:
    """Returns the bytes of a planted file, and the width and height it has or claims."""
    if plant.kind == "zero-bytes":
        return broken.zero_bytes(), None, None
    if plant.kind == "not-an-image":
        return broken.not_an_image(), None, None
    if plant.kind == "bomb":
        return broken.bomb(), broken.BOMB_SIDE, broken.BOMB_SIDE
    size, quality = recipe.image_size, recipe.quality
    pixels = render(recipe.seed, plant.identity, plant.image, size)
    if plant.kind in COPY_KINDS:
        return copy_of(plant.kind, encode_jpeg(pixels, quality), quality)
    return _odd(plant, pixels, quality), size, size


def _odd(plant: Plant, pixels: np.ndarray, quality: int) -> bytes:
    if plant.kind == "mislabel":
        return encode_jpeg(pixels, quality)
    if plant.kind == "truncated":
        return broken.truncated(pixels, quality)
    if plant.kind == "wrong-extension":
        return broken.png(pixels)
    if plant.kind == "cmyk":
        return broken.cmyk(pixels, quality)
    if plant.kind == "16-bit":
        return broken.sixteen_bit(pixels)
    if plant.kind == "alpha":
        return broken.alpha(pixels)
    if plant.kind == "exif-rotated":
        return broken.exif_rotated(pixels, _ORIENTATIONS[plant.image % 3], quality)
    raise ValueError(f"kind must be one of recipe.KINDS, got {plant.kind!r}")
