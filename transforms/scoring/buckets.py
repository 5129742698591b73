"""Divides rows among files of a scratch folder, so that each file fits the memory."""

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.transforms import storage
from facemill.transforms.core.grouping import group_count

# Rows of a bucket, about: 100 MB of 512 floats each.
_ROWS = 50_000
# All files are open at the same time.
_MOST = 512


def bucket_count(rows: int) -> int:
    """How many buckets some rows are divided among: in proportion, but at most 512."""
    return min(group_count(rows, _ROWS), _MOST)


class Buckets:
    """Files with rows, open for writing in a block, and for reading after it.

    Args:
        folder: of the files, existing, on a disk.
        count: how many buckets.
        schema: of the rows.
    """

    def __init__(self, folder: str, count: int, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema
        self.count = count

    def __enter__(self) -> "Buckets":
        with contextlib.ExitStack() as files:
            self._writers: list[Any] = []
            for number in range(self.count):
                stream = files.enter_context(storage.new_file(self._path(number), sync=False))
                writer = pa.ipc.new_stream(stream, self._schema)
                self._writers.append(files.enter_context(writer))
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.__exit__(kind, error, trace)
        self._writers = []

    def add(self, table: pa.Table, numbers: np.ndarray) -> None:
        """Writes rows.

        Args:
            table: of the schema.
            numbers: integers [N], the bucket of each row.
        """
        if not len(numbers):
            return
        order = np.argsort(numbers, kind="stable")
        found, starts = np.unique(numbers[order], return_index=True)
        for number, rows in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            self._writers[number].write_table(table.take(pa.array(rows)))

    def tables(self) -> Iterator[tuple[int, pa.Table]]:
        """The buckets that hold rows, one after the other, each with its number."""
        for number in range(self.count):
            table = self.table(number)
            if len(table):
                yield number, table

    def table(self, number: int) -> pa.Table:
        """The rows of one bucket."""
        with storage.open_file(self._path(number)) as stream:
            return pa.ipc.open_stream(stream).read_all().combine_chunks()

    def _path(self, number: int) -> str:
        return storage.join(self._folder, f"bucket-{number:05d}")
