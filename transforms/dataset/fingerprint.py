"""The fingerprint of a source: a sum over all listed images, whatever their outcomes."""

import hashlib

import pyarrow as pa


def content_sum(rows: pa.Table) -> int:
    """A number below 2**256, the same for the same set of (image_id, SHA-256 of the file).

    The sums of parts add up to the sum of the whole, modulo 2**256.
    """
    total = 0
    for key, digest in zip(rows["image_id"].to_pylist(), rows["sha256"].to_pylist(), strict=True):
        entry = f"{key}\0{digest or ''}".encode()
        # A sum does not depend on the order, and unlike XOR it changes with a repeated entry.
        total += int.from_bytes(hashlib.sha256(entry).digest(), "big")
    return total % (1 << 256)


def name_sum(rows: pa.Table) -> int:
    """A number below 2**256, the same for the same set of image_ids; adds up like `content_sum`."""
    digests = (hashlib.sha256(name.encode()).digest() for name in rows["image_id"].to_pylist())
    return sum(int.from_bytes(digest, "big") for digest in digests) % (1 << 256)
