"""Reading the index of a complete dataset as one table."""

import os
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.core.text import one_line
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import read_part

_INDEX = "index/"


def read_index(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    filters: pc.Expression | list[Any] | None = None,
) -> pa.Table:
    """The index of a dataset: one row for each image that ingest listed, kept or not.

    All rows that pass the filters are in memory at once. For a large dataset read few columns, or
    query `index/*.parquet` with DuckDB or Polars.

    Args:
        path: the dataset's directory.
        columns: names of the columns to read, in this order; None for all.
        filters: which rows, as `pyarrow.parquet.read_table` takes it: an expression such as
            `pyarrow.compute.field("outcome") == "kept"`, or a list of tuples such as
            `[("outcome", "==", "kept")]`. None for all.

    Returns:
        The rows in the order of the parts, and in each part by image_id.

    Raises:
        UsageError: there is no complete dataset at the path, or no such column.
        RunError: a part of the index is missing or damaged.
    """
    root = storage.absolute(os.fspath(path), "path")
    manifest = artifact.read_manifest(root, "dataset")
    parts = artifact.entries_under(manifest, _INDEX)
    artifact.check_sizes(root, parts)
    paths = [artifact.resolve(root, entry["path"]) for entry in parts]
    try:
        with storage.open_arrow(paths[0]) as source:
            names = pq.read_schema(source).names
        for name in columns or ():
            if name not in names:
                raise UsageError(
                    f"Each column must be one of the index ({', '.join(names)}), got {name!r}; "
                    "choose among these."
                )
        # Parts that a later version of facemill added may have further columns.
        parts_read = (read_part(one, columns, filters) for one in paths)
        return pa.concat_tables(parts_read, promote_options="default")
    except (pa.ArrowException, OSError) as error:
        if filters is not None and "FieldRef" in str(error):
            raise UsageError(
                f"filters must name columns of the index ({', '.join(names)}), but Arrow says: "
                f"{one_line(error)}; choose among these."
            ) from None
        raise RunError(
            f"The index of {root} must be readable, but Arrow says: {one_line(error)}; write the "
            "dataset again."
        ) from None
