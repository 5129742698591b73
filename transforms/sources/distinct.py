"""A set of names that must not repeat, in 12 to 24 bytes each."""

import hashlib
from array import array

_SMALLEST = 1 << 10


class Distinct:
    """Finds names that repeat.

    It keeps a 64-bit hash of each name and not the name, in one open-addressed table: ten million
    names take at most 270 MB, where a Python set takes gigabytes. Among ten million names, two
    different ones collide with a probability of 3e-6, and then in every run.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SMALLEST))
        self._count = 0

    def add(self, name: str) -> bool:
        """Adds a name; False if it was added before."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # Zero marks an empty slot.
        value = int.from_bytes(digest, "big") or 1
        if not _put(self._slots, value):
            return False
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def claim(self, name: str) -> str:
        """The name if it is new, else the first of `name#2`, `name#3`, ... that is."""
        if self.add(name):
            return name
        number = 2
        while not self.add(f"{name}#{number}"):
            number += 1
        return f"{name}#{number}"

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._slots)))
        for value in self._slots:
            if value:
                _put(larger, value)
        self._slots = larger


def _put(slots: "array[int]", value: int) -> bool:
    mask = len(slots) - 1
    slot = value & mask
    while present := slots[slot]:
        if present == value:
            return False
        slot = (slot + 1) & mask
    slots[slot] = value
    return True
