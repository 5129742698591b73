"""Coders of the elements that the listing and the scan emit. The import registers them."""

import struct
from typing import Any

import numpy as np
from apache_beam import coders

from facemill.transforms.core.coders import register
from facemill.transforms.dataset.splits import SPLIT_REQUEST
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, Scanned

# Number and images of the chunk, bytes of one image's windows, then the lengths of three arrays.
_HEAD = struct.Struct("<QIIIII")


class ScannedCoder(coders.Coder):
    """Encodes `Scanned` as its arrays, one after another. Decoded arrays are read-only."""

    def encode(self, value: Scanned) -> bytes:
        """The header and the arrays."""
        head = _HEAD.pack(
            value.chunk,
            value.count,
            value.windows.shape[1],
            len(value.usable),
            len(value.split_requests),
            len(value.unusable),
        )
        arrays = (value.usable, value.windows, value.split_requests, value.unusable)
        return b"".join([head, *(array.tobytes() for array in arrays)])

    def decode(self, encoded: bytes) -> Scanned:
        """The chunk with read-only arrays."""
        chunk, count, width, usable, requests, unusable = _HEAD.unpack_from(encoded)
        arrays = []
        start = _HEAD.size
        kinds = ((USABLE, usable), (np.dtype("u1"), usable * width))
        for dtype, rows in (*kinds, (SPLIT_REQUEST, requests), (UNUSABLE, unusable)):
            arrays.append(np.frombuffer(encoded, dtype, rows, start))
            start += rows * dtype.itemsize
        arrays[1] = arrays[1].reshape(usable, width)
        rows_of_usable, windows, split_requests, rest = arrays
        return Scanned(chunk, count, rows_of_usable, windows, split_requests, rest)

    def estimate_size(self, value: Scanned) -> int:
        """The encoded size in bytes."""
        arrays = (value.usable, value.windows, value.split_requests, value.unusable)
        return _HEAD.size + sum(array.nbytes for array in arrays)

    def is_deterministic(self) -> bool:
        """Equal arrays have equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The class."""
        return Scanned


register(Chunk)
coders.registry.register_coder(Scanned, ScannedCoder)
