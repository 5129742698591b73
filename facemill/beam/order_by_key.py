"""Numbering images by their keys, where no listing says which number each has.

The search of ingest addresses images by row ids, which follow from a listing. In a pipeline of
anybody's is no listing, and which images share a bundle is left to the runner. So the scan writes
each batch of a bundle under a number that is its own for the moment, and this step numbers the
images anew: a fixed number of groups by a hash of the key, each sorted by hash and key. Then the
row ids, and all that follows from them, depend on the keys alone. Only the numbers that `USABLE`
has of an image pass the grouping, about 90 bytes of each (310 where the search is thorough);
thumbnails and keys are read from the staging folder.
"""

import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import coders

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.row_ids import CHUNK, NEW, chunk_number, chunk_of, row_ids_of, row_of
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from facemill.transforms.scan.staging import StagingReader, read_metadata, write_chunk

# Under the staging folder: what the scan writes, before the images have their row ids.
UNORDERED = "unordered"

# A worker holds what is known of so many images, about 1 KB each, while it sorts them.
_ROWS_PER_GROUP = 1 << 14

_HEAD = struct.Struct("<II")

# What the scan knows of an image in numbers.
ROW = np.dtype(
    [
        # Hash of the key.
        ("order", "<u8"),
        # Where the scan wrote it, in the folder UNORDERED.
        ("row_id", "<u8"),
        ("is_usable", "?"),
        ("usable", USABLE),
    ]
)


@dataclass(frozen=True)
class Rows:
    """What the scan knows of some images in numbers.

    Attributes:
        rows: ROW [N].
        windows: uint8 [N, W], see `Scanned`; zeros where an image is not usable.
    """

    rows: np.ndarray
    windows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


class RowsCoder(coders.Coder):
    """Of `Rows`: one array after the other. They are read-only when they arrive."""

    def encode(self, value: Rows) -> bytes:
        """Both arrays."""
        head = _HEAD.pack(*value.windows.shape)
        return b"".join([head, value.rows.tobytes(), value.windows.tobytes()])

    def decode(self, encoded: bytes) -> Rows:
        """The rows."""
        count, width = _HEAD.unpack_from(encoded)
        rows = np.frombuffer(encoded, ROW, count, _HEAD.size)
        windows = np.frombuffer(encoded, np.uint8, count * width, _HEAD.size + rows.nbytes)
        return Rows(rows, windows.reshape(count, width))

    def is_deterministic(self) -> bool:
        """Equal arrays have equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The class."""
        return Rows


coders.registry.register_coder(Rows, RowsCoder)


class OrderByKey(beam.PTransform):
    """Rows -> Scanned, whose chunks lie in the staging folder and follow from the keys alone.

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
            | "ByKey" >> beam.FlatMap(_by_key, total).with_output_types(tuple[int, Rows])
            | "GroupKeys" >> beam.GroupByKey()
            | "Order" >> beam.FlatMap(_order, self._staging).with_output_types(Scanned)
        )


def _by_key(scanned: Rows, total: int) -> Iterator[tuple[int, Rows]]:
    groups = scanned.rows["order"] % np.uint64(group_count(total, _ROWS_PER_GROUP))
    for group in np.unique(groups):
        mine = groups == group
        yield int(group), Rows(scanned.rows[mine], scanned.windows[mine])


def _order(group: tuple[int, Iterable[Rows]], staging: str) -> Iterator[Scanned]:
    """Numbers the images of a group by their keys, and stages them under these numbers.

    Raises:
        RunError: two images have the same key.
    """
    parts = list(group[1])
    rows = np.concatenate([part.rows for part in parts])
    windows = np.concatenate([part.windows for part in parts])
    unordered = os.path.join(staging, UNORDERED)
    metadata = _metadata(unordered, rows["row_id"])
    keys = metadata["image_id"].to_pylist()
    # Two keys may have the same hash; which comes first is then for the keys to say.
    order = sorted(range(len(rows)), key=lambda place: (int(rows["order"][place]), keys[place]))
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
                windows[some],
                reader,
            )


def _metadata(folder: str, row_ids: np.ndarray) -> pa.Table:
    """What the scan wrote of some images, in the order of `row_ids`."""
    chunks = np.array([chunk_of(one) for one in row_ids.tolist()])
    tables: list[pa.Table] = []
    places: list[np.ndarray] = []
    for chunk in np.unique(chunks):
        mine = np.flatnonzero(chunks == chunk)
        table = read_metadata(folder, int(chunk))
        tables.append(table.take([row_of(one) for one in row_ids[mine].tolist()]))
        places.append(mine)
    return pa.concat_tables(tables).take(np.argsort(np.concatenate(places)))


def _stage(
    staging: str,
    chunk: int,
    metadata: pa.Table,
    rows: np.ndarray,
    windows: np.ndarray,
    reader: StagingReader,
) -> Scanned:
    good = rows["is_usable"]
    thumbnails = iter(reader.thumbnails(rows["row_id"][good]))
    # Records are for shards, which nobody writes here.
    pixels = [(next(thumbnails), b"") if usable else None for usable in good]
    write_chunk(staging, chunk, metadata, pixels)
    usable = rows["usable"].copy()
    usable["row_id"] = row_ids_of(chunk, len(rows))
    return Scanned(chunk, len(rows), usable[good], windows[good])
