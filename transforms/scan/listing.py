"""Listing an input: references in numbered chunks, in an order that follows from the input."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.row_ids import (
    CHUNK,
    HELD_OUT,
    MAX_CHUNKS,
    MAX_TASKS,
    NEW,
    chunk_number,
)
from facemill.transforms.scan import coders as _coders  # noqa: F401 - gives Chunk its coder
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.sources.base import Ref, Source
from facemill.transforms.sources.labels import of_one_line
from facemill.transforms.sources.missing_identity import ignore_missing_identity

_MOST_TOGETHER = 64
_FEWEST_GROUPS = 64


class ListImages(beam.PTransform):
    """PBegin -> Chunk.

    The parts of the input are listed by the workers; only their names come from the launcher.

    Args:
        source: of the images.
        tasks: its parts, as `source.tasks()` gave them.
        origin: that their row ids will have, see `transforms.core.row_ids`.
        base_keys: file of the keys of images that are passed over, in increasing order; or None.
    """

    def __init__(
        self, source: Source, tasks: Sequence[str], origin: int = NEW, base_keys: str | None = None
    ) -> None:
        super().__init__()
        self._source = source
        self._tasks = tasks
        self._origin = origin
        self._base_keys = base_keys

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        return (
            begin
            | "Parts" >> beam.Create(list(enumerate(together(self._tasks))), reshuffle=True)
            | "List" >> beam.FlatMap(list_chunks, self._source, self._origin, self._base_keys)
            # One part may be one large file: its images are spread over all workers.
            | "Spread" >> beam.Reshuffle()
        )


class CountImages(beam.PTransform):
    """Chunk -> one number: how many images were listed.

    Args:
        passed_over: counts, instead of these, those that were passed over since the base has them.
    """

    def __init__(self, passed_over: bool = False) -> None:
        super().__init__()
        self._size = _passed_over if passed_over else _size

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            chunks
            | "Sizes" >> beam.Map(self._size).with_output_types(int)
            | "Total" >> beam.CombineGlobally(sum)
        )


def together(tasks: Sequence[str]) -> list[Sequence[str]]:
    """Parts of a listing that are listed together, so that small ones fill chunks.

    Many identities have a few images each; a collection has few or many parts.

    Raises:
        RunError: there are more than row ids have numbers for.
    """
    size = min(_MOST_TOGETHER, max(1, len(tasks) // _FEWEST_GROUPS))
    if len(tasks) > size * MAX_TASKS:
        raise RunError(
            f"The input must have at most {_MOST_TOGETHER * MAX_TASKS:,} parts, got "
            f"{len(tasks):,}; divide it."
        )
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def holds_images(chunk: Chunk) -> bool:
    """Whether there is something to scan: a chunk may only count images passed over."""
    return chunk.count > 0


def list_chunks(
    numbered: tuple[int, Sequence[str]],
    source: Source,
    origin: int = NEW,
    base_keys: str | None = None,
) -> Iterator[Chunk]:
    """The chunks of some parts of the listing; see `holds_images`.

    Args:
        numbered: number among all groups of parts, and the parts.
        source: that they are of.
        origin: see `transforms.core.row_ids`.
        base_keys: see `ListImages`.
    """
    number, tasks = numbered
    passed_over: Counter[str] = Counter()
    refs: Iterator[Ref] = itertools.chain.from_iterable(map(source.refs, tasks))
    # A held-out photo is kept apart from whoever it shows.
    refs = map(ignore_missing_identity if origin == HELD_OUT else of_one_line, refs)
    if base_keys is not None:
        keys = storage.map_array(base_keys)
        refs = _unknown(refs, keys, passed_over)
    for ordinal in range(MAX_CHUNKS):
        some = list(itertools.islice(refs, CHUNK))
        passed = passed_over.total()
        passed_over.clear()
        if some or passed:
            yield Chunk.of(chunk_number(origin, number, ordinal), some, passed)
        if not some:
            return
    if next(refs, None) is None:
        return
    raise RunError(
        f"One part of the input must hold at most {MAX_CHUNKS * CHUNK:,} images, got more in "
        f"{tasks[0]}; divide it."
    )


def all_chunks(
    source: Source, tasks: Sequence[str], base_keys: str | None = None
) -> Iterator[Chunk]:
    """What `ListImages` gives of new images, without a runner and in order.

    Args:
        source: of the images.
        tasks: its parts.
        base_keys: see `ListImages`.
    """
    for numbered in enumerate(together(tasks)):
        yield from (
            chunk for chunk in list_chunks(numbered, source, NEW, base_keys) if holds_images(chunk)
        )


def image_key(image_id: str) -> int:
    """The hash by which the images of a base are found, in [0, 2**64)."""
    return keyed_hash(0, "known", image_id)


def _unknown(refs: Iterable[Ref], keys: np.ndarray, passed_over: Counter[str]) -> Iterator[Ref]:
    for ref in refs:
        if _holds(keys, image_key(ref.image_id)):
            passed_over["images"] += 1
        else:
            yield ref


def _passed_over(chunk: Chunk) -> int:
    return chunk.passed_over


def _size(chunk: Chunk) -> int:
    return chunk.count


def _holds(keys: np.ndarray, key: int) -> bool:
    row_id = int(np.searchsorted(keys, np.uint64(key)))
    return row_id < len(keys) and int(keys[row_id]) == key
