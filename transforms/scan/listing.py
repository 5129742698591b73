"""Lists an input: references in numbered chunks, in an order that depends on the input alone."""

import functools
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
from facemill.transforms.core.same_version import SameVersion
from facemill.transforms.scan import coders as _coders  # noqa: F401 - gives Chunk its coder
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.sources.base import Ref, Source
from facemill.transforms.sources.labels import in_normal_form, refuse_multiline_identity
from facemill.transforms.sources.missing_identity import ignore_missing_identity, without_identity

_MAX_GROUP = 64
_MIN_GROUPS = 64


class ListImages(beam.PTransform):
    """PBegin, or an Impulse -> Chunk.

    The launcher passes the names of the parts; the workers list the images of each part.

    Args:
        source: the source of the images.
        tasks: the parts of the source, as `source.tasks()` returned them.
        origin: the origin of the row ids, see `transforms.core.row_ids`.
        base_keys: path of a file with the `image_key` of each image of the base, uint64 [N] in
            increasing order; these images are left out. None without a base.
    """

    def __init__(
        self, source: Source, tasks: Sequence[str], origin: int = NEW, base_keys: str | None = None
    ) -> None:
        super().__init__()
        self._source = source
        self._tasks = tasks
        self._origin = origin
        self._base_keys = base_keys

    # Beam knows no type of either, and would log so at each start of a job.
    @beam.typehints.no_annotations
    def expand(self, begin: beam.pvalue.PBegin | beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        start = begin if isinstance(begin, beam.PCollection) else begin | beam.Impulse()
        groups = [(number, list(some)) for number, some in enumerate(group_tasks(self._tasks))]
        return (
            start
            | "Parts" >> beam.FlatMap(_each, groups).with_output_types(tuple[int, list[str]])
            | "SpreadParts" >> beam.Reshuffle()
            | "List" >> beam.ParDo(_List(self._source, self._origin, self._base_keys))
            # One part may be one large file: its images are spread over all workers.
            | "Spread" >> beam.Reshuffle()
        )


class _List(beam.DoFn):
    """A numbered group of parts -> its chunks; the first step of every job, see `SameVersion`."""

    def __init__(self, source: Source, origin: int, base_keys: str | None) -> None:
        self._submitted_with = SameVersion()
        self._source = source
        self._origin = origin
        self._base_keys = base_keys

    def process(self, numbered: tuple[int, Sequence[str]]) -> Iterator[Chunk]:
        yield from list_chunks(numbered, self._source, self._origin, self._base_keys)


class ListedSizes(beam.PTransform):
    """Chunk -> the number of images of each, for `transforms.core.totals.SumOf`."""

    def expand(self, chunks: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return chunks | "Sizes" >> beam.Map(_size).with_output_types(int)


class CountImages(beam.PTransform):
    """Chunk -> one number: how many images were listed.

    Args:
        passed_over: counts, instead of these, the images left out because the base has them.
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


def group_tasks(tasks: Sequence[str]) -> list[Sequence[str]]:
    """Groups the parts of an input, so that parts with few images share chunks.

    Each group holds neighboring parts, at most 64. An input with few parts has one part in each
    group, so that many workers can list it.

    Raises:
        RunError: there are more parts than row ids can number.
    """
    size = min(_MAX_GROUP, max(1, len(tasks) // _MIN_GROUPS))
    if len(tasks) > size * MAX_TASKS:
        raise RunError(
            f"The input must have at most {_MAX_GROUP * MAX_TASKS:,} parts, got "
            f"{len(tasks):,}; divide it."
        )
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def holds_images(chunk: Chunk) -> bool:
    """Whether the chunk has images to scan: some chunks only count images that were left out."""
    return chunk.count > 0


def list_chunks(
    numbered: tuple[int, Sequence[str]],
    source: Source,
    origin: int = NEW,
    base_keys: str | None = None,
) -> Iterator[Chunk]:
    """The chunks of one group of parts; see `holds_images`.

    Args:
        numbered: the number of the group, and its parts.
        source: the source of the parts.
        origin: see `transforms.core.row_ids`.
        base_keys: see `ListImages`.

    Raises:
        RunError: a group holds more images than row ids can number.
    """
    number, tasks = numbered
    passed_over: Counter[str] = Counter()
    refs: Iterator[Ref] = itertools.chain.from_iterable(map(source.refs, tasks))
    if source.names_nobody:
        refs = map(without_identity, refs)
    refs = map(functools.partial(in_normal_form, match=source.match_names), refs)
    # A held-out photo excludes its duplicates under any identity, so its own does not matter.
    refs = map(ignore_missing_identity if origin == HELD_OUT else refuse_multiline_identity, refs)
    if base_keys is not None:
        keys = storage.map_array(base_keys)
        refs = _not_in_base(refs, keys, passed_over)
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
    """The chunks that `ListImages` emits for new images, without a runner and in order.

    Args:
        source: the source of the images.
        tasks: the parts of the source.
        base_keys: see `ListImages`.
    """
    for numbered in enumerate(group_tasks(tasks)):
        yield from (
            chunk for chunk in list_chunks(numbered, source, NEW, base_keys) if holds_images(chunk)
        )


def image_key(image_id: str) -> int:
    """The hash by which an image is found in a base, in [0, 2**64)."""
    return keyed_hash(0, "known", image_id)


def _not_in_base(refs: Iterable[Ref], keys: np.ndarray, passed_over: Counter[str]) -> Iterator[Ref]:
    for ref in refs:
        if _contains(keys, image_key(ref.image_id)):
            passed_over["images"] += 1
        else:
            yield ref


def _each(start: bytes, groups: Sequence[tuple[int, list[str]]]) -> Iterable[tuple[int, list[str]]]:
    del start
    return groups


def _passed_over(chunk: Chunk) -> int:
    return chunk.passed_over


def _size(chunk: Chunk) -> int:
    return chunk.count


def _contains(keys: np.ndarray, key: int) -> bool:
    position = int(np.searchsorted(keys, np.uint64(key)))
    return position < len(keys) and int(keys[position]) == key
