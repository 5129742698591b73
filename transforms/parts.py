"""Writing one part of a table as Parquet: whole or not at all, the same rows as the same bytes."""

import os
import secrets
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage


def write_part(rows: pa.Table, path: str, row_group: int) -> dict[str, Any]:
    """Writes a part under a temporary name and renames it.

    Args:
        rows: of the part, in their final order.
        path: of the file; its folder is made if it is absent.
        row_group: rows in a row group.

    Returns:
        For a receipt: bytes, sha256, rows.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.tmp-{secrets.token_hex(6)}"
    pq.write_table(rows, temporary, compression="zstd", row_group_size=row_group)
    os.replace(temporary, path)
    return {"bytes": os.path.getsize(path), "sha256": storage.sha256(path), "rows": len(rows)}
