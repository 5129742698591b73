"""Writing one part of a table as Parquet: whole or not at all, the same rows as the same bytes."""

import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facemill.transforms import storage


def write_part(rows: pa.Table, root: str, name: str, row_group: int) -> dict[str, Any]:
    """Writes a part.

    Args:
        rows: of the part, in their final order.
        root: the folder that the launcher made.
        name: of the file in it, or FOLDER/NAME; such a folder is made if it is absent.
        row_group: rows in a row group.

    Returns:
        For a receipt: bytes, sha256, rows.

    Raises:
        RunError: the root is not there.
    """
    path = os.path.join(root, name)
    if "/" in name:
        storage.make_folder(os.path.dirname(path))
    with storage.new_file(path, sync=False) as stream:
        pq.write_table(rows, stream, compression="zstd", row_group_size=row_group)
    return {"bytes": os.path.getsize(path), "sha256": storage.sha256(path), "rows": len(rows)}
