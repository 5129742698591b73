"""Parts of a table as Parquet files: complete or absent, equal rows as equal bytes."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms import storage


def write_part(rows: pa.Table, root: str, name: str, row_group: int) -> dict[str, Any]:
    """Writes a part.

    Args:
        rows: of the part, in their final order.
        root: a folder that the launcher made.
        name: of the file in it, or FOLDER/NAME; FOLDER is made if it is absent.
        row_group: rows in a row group.

    Returns:
        For a receipt: bytes, sha256, rows.

    Raises:
        RunError: the root is absent.
    """
    path = os.path.join(root, name)
    if "/" in name:
        storage.make_folder(os.path.dirname(path))
    with storage.new_file(path, sync=False) as stream:
        pq.write_table(rows, stream, compression="zstd", row_group_size=row_group)
    return {"bytes": storage.size(path), "sha256": storage.sha256(path), "rows": len(rows)}


def read_part(path: str, columns: Sequence[str] | None, filters: Any = None) -> pa.Table:
    """Reads columns of a part on a disk.

    Args:
        path: of the file.
        columns: their names; None for all.
        filters: which rows, as `pyarrow.parquet.read_table` takes it; None for all.

    Raises:
        OSError: it cannot be read.
    """
    with storage.open_arrow(path) as source:
        return pq.read_table(
            source, columns=None if columns is None else list(columns), filters=filters
        )


def part_batches(path: str, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Reads columns of a part on a disk, at most `rows` rows at a time.

    Raises:
        OSError: it cannot be read.
    """
    with storage.open_arrow(path) as source:
        yield from pq.ParquetFile(source).iter_batches(rows, columns=list(columns))
