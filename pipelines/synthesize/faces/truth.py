"""The ground truth of a synthetic collection: a table with a row for every file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms import storage


@dataclasses.dataclass(frozen=True)
class TrueRow:
    """One file below `images/`.

    Attributes:
        image_id: Path relative to `images/`, with "/" between its parts.
        identity: The identity that the image shows; its folder's identity if it shows none.
        folder_identity: In whose folder it lies.
        kind: "original" or one of `recipe.KINDS`.
        source_image_id: image_id of the image that it is a copy of; None if it is no copy.
        readable: Whether a decoder is expected to accept it.
        width, height: Of the stored raster, or as the header of a broken file claims.
        bytes: Size of the file.
        sha256: Of the file, hexadecimal.
    """

    image_id: str
    identity: str
    folder_identity: str
    kind: str
    source_image_id: str | None
    readable: bool
    width: int | None
    height: int | None
    bytes: int
    sha256: str


SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("folder_identity", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("source_image_id", pa.string()),
        pa.field("readable", pa.bool_(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)


def write_truth(path: str, groups: Iterable[list[TrueRow]]) -> dict[str, int]:
    """Writes a Parquet file, a row group for each list of rows; returns the rows of each kind."""
    counts: Counter[str] = Counter()
    with (
        storage.new_file(path, sync=False) as stream,
        pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer,
    ):
        for rows in groups:
            writer.write_table(pa.Table.from_pylist([vars(row) for row in rows], SCHEMA))
            counts.update(row.kind for row in rows)
    return dict(counts)


def read_truth(path: str) -> list[TrueRow]:
    """Returns the rows of a truth file in the order of the collection."""
    with storage.open_arrow(path) as source:
        return [TrueRow(**row) for row in pq.read_table(source, schema=SCHEMA).to_pylist()]
