"""How many groups a collection is divided into: by its size, so that no group grows with it."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

# Rows of some dozens of bytes that one worker holds at a time.
ROWS_PER_GROUP = 1 << 18


def group_count(rows: int, rows_per_group: int = ROWS_PER_GROUP) -> int:
    """Groups for so many rows, 1 or more."""
    return max(1, math.ceil(rows / rows_per_group))


def divide(rows: np.ndarray, keys: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Rows by key, each part as bytes: arrays as such cost an engine more than they hold.

    Args:
        rows: [N], structured.
        keys: integers [N].
    """
    if not len(rows):
        return
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    for key, part in zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True):
        yield key, part.tobytes()


def join(parts: Iterable[bytes], kind: np.dtype) -> np.ndarray:
    """The rows of all parts: structured [N], writable, in the order of arrival."""
    return np.frombuffer(bytearray(b"".join(parts)), kind)


def partition(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by key, so that a chunk travels as one element per key and not one per image."""
    parts: dict[Key, list[Item]] = {}
    for item in items:
        parts.setdefault(key(item), []).append(item)
    return parts
