"""Assigns row ids by key, for images that no listing numbers.

The duplicate search addresses images by row ids, and ingest derives them from its listing. Another
pipeline has no listing, and its runner decides which images share a bundle. So the scan writes each
batch under a temporary chunk number, and this step numbers the images anew: it divides them into
groups by a hash of the key, and sorts each group by hash and key. Then the row ids, and all results
that depend on them, depend on the keys alone. Only the fields of `RowsToOrder` pass the
grouping, about 90 bytes of each image (310 if the search is thorough); thumbnails and keys are read
from the staging folder.
"""

import itertools
import os
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.transforms.core.coders import register
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.row_ids import CHUNK, NEW, chunk_number, chunk_of, row_ids_of, row_of
from facemill.transforms.core.rows import Rows
from facemill.transforms.images.crop_variants import WINDOW_BYTES
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from facemill.transforms.scan.staging import StagingReader, read_metadata, write_chunk

# The folder under the staging folder in which the scan writes, before images have final row ids.
UNORDERED = "unordered"

# A worker holds the metadata of this many images, about 1 KB each, while it sorts them.
_ROWS_PER_GROUP = 1 << 14


class RowsToOrder(Rows):
    """The values of an image that pass the grouping; `windows` is empty."""

    __slots__ = ()
    dtype = np.dtype(
        [
            # Hash of the key.
            ("order", "<u8"),
            # Row id under which the scan wrote it in the folder UNORDERED.
            ("row_id", "<u8"),
            ("is_usable", "?"),
            ("usable", USABLE),
            # See `Scanned`; zeros for an image that is not usable.
            ("windows", "u1", (0,)),
        ]
    )


class RowsWithWindows(RowsToOrder):
    """The same, for the search that compares windows."""

    __slots__ = ()
    dtype = np.dtype([*RowsToOrder.dtype.descr[:-1], ("windows", "u1", (WINDOW_BYTES,))])


register(RowsToOrder, RowsWithWindows)


class OrderByKey(beam.PTransform):
    """RowsToOrder -> Scanned; the chunks in the staging folder depend on the keys alone.

    Args:
        staging: the staging folder.
        total: a PCollection of one number, how many images there are.
    """

    def __init__(self, staging: str, total: beam.PCollection) -> None:
        super().__init__()
        self._staging = staging
        self._total = total

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        total = beam.pvalue.AsSingleton(self._total)
        return (
            rows
            | "ByKey"
            >> beam.FlatMap(_by_key, total).with_output_types(tuple[int, rows.element_type])
            | "GroupKeys" >> beam.GroupByKey()
            | "Order" >> beam.FlatMap(_order, self._staging).with_output_types(Scanned)
        )


def _by_key(scanned: RowsToOrder, total: int) -> Iterator[tuple[int, RowsToOrder]]:
    rows = scanned.array
    yield from scanned.divide(rows, rows["order"] % np.uint64(group_count(total, _ROWS_PER_GROUP)))


def _order(group: tuple[int, Iterable[RowsToOrder]], staging: str) -> Iterator[Scanned]:
    """Numbers the images of a group by their keys, and stages them under these numbers.

    Raises:
        RunError: two images have the same key.
    """
    parts = list(group[1])
    rows = parts[0].join(parts)
    unordered = os.path.join(staging, UNORDERED)
    metadata = _metadata(unordered, rows["row_id"])
    keys = metadata["image_id"].to_pylist()
    # Two keys may have the same hash; then the keys decide the order.
    order = sorted(range(len(rows)), key=lambda row: (int(rows["order"][row]), keys[row]))
    for one, following in itertools.pairwise(order):
        if keys[one] == keys[following]:
            raise RunError(
                f"Each key must be unique, but {keys[one]!r} came twice; give the images keys of "
                "their own."
            )
    with StagingReader(unordered) as reader:
        for ordinal, start in enumerate(range(0, len(order), CHUNK)):
            some = order[start : start + CHUNK]
            yield _stage(
                staging,
                chunk_number(NEW, group[0], ordinal),
                metadata.take(some),
                rows[some],
                reader,
            )


def _metadata(folder: str, row_ids: np.ndarray) -> pa.Table:
    """The metadata that the scan wrote, in the order of `row_ids`."""
    chunks = np.array([chunk_of(one) for one in row_ids.tolist()])
    tables: list[pa.Table] = []
    positions: list[np.ndarray] = []
    for chunk in np.unique(chunks):
        mine = np.flatnonzero(chunks == chunk)
        table = read_metadata(folder, int(chunk))
        tables.append(table.take([row_of(one) for one in row_ids[mine].tolist()]))
        positions.append(mine)
    return pa.concat_tables(tables).take(np.argsort(np.concatenate(positions)))


def _stage(
    staging: str,
    chunk: int,
    metadata: pa.Table,
    rows: np.ndarray,
    reader: StagingReader,
) -> Scanned:
    good = rows["is_usable"]
    row_ids = rows["row_id"][good].tolist()
    reader.prefetch(row_ids)
    records = (reader.record(row_id) for row_id in row_ids)
    # The records hold the crops by which copies are compared.
    staged = zip(reader.thumbnails(row_ids), records, strict=True)
    pixels = [next(staged) if usable else None for usable in good]
    write_chunk(staging, chunk, metadata, pixels)
    usable = rows["usable"].copy()
    usable["row_id"] = row_ids_of(chunk, len(rows))
    return Scanned(chunk, len(rows), usable[good], rows["windows"][good])
