"""Names that must not come twice, remembered in 12 to 24 bytes each."""

import hashlib
from array import array

_SMALLEST = 1 << 10


class Distinct:
    """Hands out each name once.

    It keeps a 64-bit hash of each name and not the name, in one open-addressed table: for ten
    million names that is at most 270 MB, where a set of them takes gigabytes. Two different names
    are mistaken for the same one with a chance of 3e-6 among ten million, and then in every run.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SMALLEST))
        self._count = 0

    def add(self, name: str) -> bool:
        """Remembers a name; False if it was there already."""
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
    place = value & mask
    while present := slots[place]:
        if present == value:
            return False
        place = (place + 1) & mask
    slots[place] = value
    return True
