"""Images of the rows of a Parquet file, one row in memory at a time."""

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, open_table
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.labels import BadValueError
from facemill.transforms.sources.reading import cannot_read, too_large


class Rows:
    """Images of one file by row; it continues within a row group instead of starting it anew.

    Args:
        path: of the file, as references have it.
        stream: the open file.
        leaves: a schema to the leaf columns that hold the bytes or the path of an image.
    """

    def __init__(self, path: str, stream: BinaryIO, leaves: Callable[[Any], Sequence[str]]) -> None:
        self.path = path
        self._table = open_table(stream)
        self._leaves = leaves(self._table.schema_arrow)
        counts = self._table.metadata
        self._ends: list[int] = []
        total = 0
        for group in range(counts.num_row_groups):
            total += counts.row_group(group).num_rows
            self._ends.append(total)
        self._group = -1
        self._next = 0
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._damage: Reason | None = None

    def image(self, row: int) -> bytes | str | Unreadable:
        """The image of a row, or the path that stands for it.

        Raises:
            BadValueError: the file has no such row.
            one of ARROW_ERRORS: the file is damaged.
        """
        group = bisect.bisect_right(self._ends, row)
        if group == len(self._ends):
            text = f"its file has no row {row} anymore"
            raise BadValueError(text, ReasonCode.CHANGED_DURING_RUN)
        if group != self._group or row < self._next:
            self._start(group)
        while self._next <= row:
            # No row of the group can be read after a damaged one, so it is not tried again.
            if self._damage is None:
                self._step()
            if self._damage is not None:
                raise BadValueError(self._damage, self._damage.code)
        return bytes_or_path(self._batch.column(0))

    def _step(self) -> None:
        try:
            self._batch = next(self._batches)
            self._next += 1
        except StopIteration:
            text = f"damaged table: a row group ends before row {self._next}"
            self._damage = Reason(ReasonCode.DAMAGED_CONTAINER, text)
        except ARROW_ERRORS as error:
            self._damage = damage(error)

    def _start(self, group: int) -> None:
        self._group = group
        self._damage = None
        self._next = self._ends[group - 1] if group else 0
        # A batch of one row costs some 20 us and bounds memory to the largest image.
        self._batches = self._table.iter_batches(
            batch_size=1, row_groups=[group], columns=self._leaves, use_threads=False
        )


def damage(error: Exception) -> Reason:
    """Why a file or a row of it cannot be read, by an error of Arrow or of the system."""
    # Arrow reports damage as OSError too, but only errors of the system have an errno.
    if isinstance(error, OSError) and error.errno is not None:
        return cannot_read(error)
    return Reason(ReasonCode.DAMAGED_CONTAINER, f"damaged table: {one_line(error)}")


def bytes_or_path(column: Any) -> bytes | str | Unreadable:
    """The bytes of the first value of a column, or else its path."""
    parts = {"": column}
    if pa.types.is_struct(column.type):
        # A null struct may have bytes below it; `flatten` makes them null.
        names = [column.type.field(index).name for index in range(column.type.num_fields)]
        parts = dict(zip(names, column.flatten(), strict=True))
    path = None
    for part in parts.values():
        if not part[0].is_valid:
            continue
        if not is_binary(part.type):
            path = path or part[0].as_py()
            continue
        buffer = part[0].as_buffer()
        if buffer.size > MAX_BYTES:
            return Unreadable(too_large(buffer.size))
        return bytes(buffer)
    if path:
        return str(path)
    return Unreadable(Reason(ReasonCode.NO_IMAGE_IN_RECORD, "its row holds no image"))
