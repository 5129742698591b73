"""Parts of a table as Parquet files: complete or absent, equal rows as equal bytes."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.dataset.output_files import OutputFiles


def write_part(rows: pa.Table, files: OutputFiles, name: str, row_group: int) -> dict[str, Any]:
    """Writes a part.

    Args:
        rows: of the part, in their final order.
        files: where the files of the artifact are written.
        name: of the file: FILE or FOLDER/FILE.
        row_group: rows in a row group.

    Returns:
        For a receipt: bytes, sha256, rows.

    Raises:
        RunError: this machine does not see the output.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=row_group)
    data = memoryview(sink.getvalue())
    files.write(name, data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": len(rows)}


def read_part(path: str, columns: Sequence[str] | None, filters: Any = None) -> pa.Table:
    """Reads columns of a part.

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
    """Reads columns of a part, at most `rows` rows at a time.

    Raises:
        OSError: it cannot be read.
    """
    with storage.open_arrow(path) as source:
        yield from pq.ParquetFile(source).iter_batches(rows, columns=list(columns))
