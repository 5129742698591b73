"""Finding image_ids that come twice, wherever in the input the two are."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.rows import KeyRows
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_metadata

register(KeyRows)

# Each fails the run; one would do.
_REPORTED = 8


class FindRepeated(beam.PTransform):
    """Scanned -> a dict with `key` for each `image_key` that more than one image has.

    Eight bytes of each image are grouped, so that nobody holds all names. Two different names have
    the same key with a chance of 3e-6 among ten million, so whoever gets a key has to compare
    the names.

    Args:
        staging: the staging folder.
        total: a PCollection of one number, how many images were listed.
    """

    def __init__(self, staging: str, total: beam.PCollection) -> None:
        super().__init__()
        self._staging = staging
        self._total = beam.pvalue.AsSingleton(total)

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            scanned
            | "Keys"
            >> beam.FlatMap(_keys, self._staging, self._total).with_output_types(
                tuple[int, KeyRows]
            )
            | "GroupKeys" >> beam.GroupByKey()
            | "Repeated" >> beam.FlatMap(_repeated)
        )


def first_repeated(names: Iterable[str]) -> str | None:
    """The first of some names that comes a second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _keys(scanned: Scanned, staging: str, total: int) -> Iterator[tuple[int, KeyRows]]:
    names = read_metadata(staging, scanned.chunk, ["image_id"])["image_id"].to_pylist()
    keys = np.fromiter(map(image_key, names), KeyRows.dtype, len(names))
    yield from KeyRows.divide(keys, keys % np.uint64(group_count(total)))


def _repeated(group: tuple[int, Iterable[KeyRows]]) -> list[dict[str, Any]]:
    found, counts = np.unique(KeyRows.join(group[1]), return_counts=True)
    return [{"key": key} for key in found[counts > 1][:_REPORTED].tolist()]
