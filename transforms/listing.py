"""Listing an input: references in numbered chunks, in an order that follows from the input."""

import itertools
from collections.abc import Iterator

import apache_beam as beam
import numpy as np

from transforms.chunk import Chunk
from transforms.errors import RunError
from transforms.keyed import keyed_hash
from transforms.places import CHUNK, MAX_CHUNKS, NEW, chunk_number
from transforms.sources.base import Ref, Source

_MOST_TOGETHER = 64
_FEWEST_GROUPS = 64


class ListImages(beam.PTransform):
    """PBegin -> Chunk.

    The parts of the input are listed by the workers; only their names come from the submitter.

    Args:
        source: of the images.
        origin: that their places will tell, see `transforms.places`.
        known: file of the keys of images that are left out, in increasing order; or None.
    """

    def __init__(self, source: Source, origin: int = NEW, known: str | None = None) -> None:
        super().__init__()
        self._source = source
        self._origin = origin
        self._known = known

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        tasks = list(enumerate(together(self._source.tasks())))
        return (
            begin
            | "Parts" >> beam.Create(tasks, reshuffle=True)
            | "List" >> beam.FlatMap(list_chunks, self._source, self._origin, self._known)
            # One part may be one large file: its images are spread over all workers.
            | "Spread" >> beam.Reshuffle()
        )


def together(tasks: list[str]) -> list[list[str]]:
    """Parts of a listing that are listed together, so that small ones fill chunks.

    Many identities have a few images each; a collection has few or many parts.
    """
    size = min(_MOST_TOGETHER, max(1, len(tasks) // _FEWEST_GROUPS))
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def list_chunks(
    numbered: tuple[int, list[str]],
    source: Source,
    origin: int = NEW,
    known: str | None = None,
) -> Iterator[Chunk]:
    """The chunks of some parts of the listing.

    Args:
        numbered: place among all groups of parts, and the parts.
        source: that they are of.
        origin: see `transforms.places`.
        known: see `ListImages`.
    """
    number, tasks = numbered
    refs: Iterator[Ref] = itertools.chain.from_iterable(map(source.refs, tasks))
    if known is not None:
        keys = np.load(known, mmap_mode="r")
        refs = (ref for ref in refs if not _holds(keys, image_key(ref.image_id)))
    for ordinal in range(MAX_CHUNKS):
        some = list(itertools.islice(refs, CHUNK))
        if not some:
            return
        yield Chunk.of(chunk_number(origin, number, ordinal), some)
    if next(refs, None) is None:
        return
    raise RunError(
        f"One part of the input must hold at most {MAX_CHUNKS * CHUNK:,} images, got more in "
        f"{tasks[0]}; divide it."
    )


def image_key(image_id: str) -> int:
    """The hash by which a dataset that is added to knows its images, in [0, 2**64)."""
    return keyed_hash(0, "known", image_id)


def _holds(keys: np.ndarray, key: int) -> bool:
    place = int(np.searchsorted(keys, np.uint64(key)))
    return place < len(keys) and int(keys[place]) == key
