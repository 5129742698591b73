"""Parquet files as others write them."""

from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

# What Arrow raises of damaged files; its own errors are several of these at once.
ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError)

_BUFFER_BYTES = 1 << 20


def open_table(stream: BinaryIO) -> Any:
    """A `pyarrow.parquet.ParquetFile` that is read little by little.

    Raises:
        one of ARROW_ERRORS: it is none.
    """
    # Without these two, Arrow reads a row group's column whole before it gives the first row.
    return pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def is_binary(kind: Any) -> bool:
    """Whether values of an Arrow type are bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
