"""Finds image_ids that occur more than once in an input."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.transforms.core.coders import register
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.dataset.parquet_parts import read_part
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_metadata

register(KeyRows)

# One repeated key is enough to fail the run; a few are reported.
_REPORTED = 8
# Of eight bytes for each image: a hundred million images are 25 MB in a group. Their number does
# not depend on that of the images, which would cost a runner a stage.
_GROUPS = 32


class FindRepeated(beam.PTransform):
    """Elements with image_ids -> a dict with `key` for each `image_key` that occurs more than once.

    The transform groups eight bytes of each image, so that no worker holds all names. Among ten
    million names, two different ones have the same key with a probability of 3e-6, so the caller
    must compare the names of a repeated key: see `check_names`.

    Args:
        names: returns the image_ids of one element.
    """

    def __init__(self, names: Callable[[Any], Iterable[str]]) -> None:
        super().__init__()
        self._names = names

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            elements
            | "Keys" >> beam.FlatMap(_keys, self._names).with_output_types(tuple[int, KeyRows])
            | "GroupKeys" >> beam.GroupByKey()
            | "Repeated" >> beam.FlatMap(_repeated)
        )


def scanned_names(scanned: Scanned, staging: str) -> list[str]:
    """The image_ids of a scanned chunk."""
    return read_metadata(staging, scanned.chunk, ["image_id"])["image_id"].to_pylist()


def listed_names(chunk: Chunk) -> list[str]:
    """The image_ids of a listed chunk."""
    return [ref.image_id for ref in chunk.refs]


def check_names(
    found: Sequence[Mapping[str, Any]], folder: str, paths: Iterable[str], advice: str
) -> None:
    """Checks that no image_id occurs in two rows of the Parquet files that a run wrote.

    Args:
        found: the output of `FindRepeated`.
        folder: the directory that holds the files; they are read only if a key is repeated.
        paths: of all files, below `folder`; each has a column image_id.
        advice: what to do about a repeated image_id, the end of the error's sentence.

    Raises:
        RunError: an image_id has two rows.
    """
    twice = repeated_name(
        found, lambda: (read_part(os.path.join(folder, path), ["image_id"]) for path in paths)
    )
    if twice is not None:
        raise RunError(f"Every image must have one row, but {twice} has two; {advice}.")


def repeated_name(
    found: Sequence[Mapping[str, Any]], tables: Callable[[], Iterable[pa.Table]]
) -> str | None:
    """The first image_id that occurs a second time, or None. Only this function decides it.

    Args:
        found: the output of `FindRepeated`.
        tables: returns all rows, with a column image_id; it is not called if no key is repeated.
    """
    keys = {one["key"] for one in found}
    if not keys:
        return None
    seen: set[str] = set()
    for table in tables():
        for name in table["image_id"].to_pylist():
            # Two different names may have equal keys by chance: then no name is repeated.
            if image_key(name) in keys:
                if name in seen:
                    return name
                seen.add(name)
    return None


def _keys(element: Any, names: Callable[[Any], Iterable[str]]) -> Iterator[tuple[int, KeyRows]]:
    found = list(names(element))
    keys = np.fromiter(map(image_key, found), KeyRows.dtype, len(found))
    yield from KeyRows.divide(keys, keys % np.uint64(_GROUPS))


def _repeated(group: tuple[int, Iterable[KeyRows]]) -> list[dict[str, Any]]:
    found, counts = np.unique(KeyRows.join(group[1]), return_counts=True)
    return [{"key": key} for key in found[counts > 1][:_REPORTED].tolist()]
