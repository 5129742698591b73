"""How many groups a collection is divided into: in proportion to its size, so groups stay small."""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

# Rows of some dozens of bytes that one worker holds at a time.
ROWS_PER_GROUP = 1 << 18


def group_count(rows: int, rows_per_group: int = ROWS_PER_GROUP) -> int:
    """The number of groups for a number of rows, 1 or more."""
    return max(1, math.ceil(rows / rows_per_group))


def partition(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by key, so that a chunk gives one element per key instead of one per image."""
    parts: dict[Key, list[Item]] = {}
    for item in items:
        parts.setdefault(key(item), []).append(item)
    return parts
