"""Opening Parquet files of any writer."""

from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

# The errors that Arrow raises for damaged files; its own classes inherit from several of these.
ARROW_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError)

_BUFFER_BYTES = 1 << 20


def open_table(stream: BinaryIO) -> Any:
    """A `pyarrow.parquet.ParquetFile` that reads in small steps.

    Raises:
        one of ARROW_ERRORS: the file is no sound Parquet file.
    """
    # Without these two options, Arrow reads the whole column of a row group for its first row.
    return pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def is_binary(kind: Any) -> bool:
    """Whether values of an Arrow type are bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
