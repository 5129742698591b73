"""Rows of one kind, as stages exchange them. No Beam here: worker processes import this module.

Stages exchange structured numpy arrays: a row id and a few numbers for each image. An element holds
the bytes of such an array, which a runner encodes faster than the array itself, in a class that
names the kind of row. `transforms.core.coders` has the coder of these classes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

Kind = TypeVar("Kind", bound="Rows")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind; each kind is a subclass with its `dtype`.

    Attributes:
        data: the bytes of the array.
    """

    dtype: ClassVar[np.dtype]
    data: bytes

    @classmethod
    def of(cls: type[Kind], array: np.ndarray) -> Kind:
        """The rows of an array.

        Args:
            array: [N] of `dtype`; if `dtype` is a subarray, [N, *shape] of its base.

        Raises:
            TypeError: the array is of another kind.
        """
        if array.dtype != cls.dtype.base or array.shape[1:] != cls.dtype.shape:
            raise TypeError(
                f"{cls.__name__} must be made of an array of {cls.dtype}, got {array.dtype} "
                f"{list(array.shape)}; convert it."
            )
        return cls(array.tobytes())

    @property
    def array(self) -> np.ndarray:
        """The rows, read-only: [N] of `dtype`."""
        return np.frombuffer(self.data, self.dtype)

    def __len__(self) -> int:
        return len(self.data) // self.dtype.itemsize

    @classmethod
    def join(cls: type[Kind], parts: Iterable[Kind]) -> np.ndarray:
        """The rows of all parts: [N] of `dtype`, writable, in the order of arrival."""
        return np.frombuffer(bytearray(b"".join(part.data for part in parts)), cls.dtype)

    @classmethod
    def divide(cls: type[Kind], array: np.ndarray, keys: np.ndarray) -> Iterator[tuple[int, Kind]]:
        """Groups rows by key; yields (key, rows) in increasing order of the keys.

        Args:
            array: [N], see `of`.
            keys: integers [N].
        """
        if not len(array):
            return
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        for key, part in zip(found.tolist(), np.split(array[order], starts[1:]), strict=True):
            yield key, cls.of(part)


class RowIds(Rows):
    """Row ids, see `transforms.core.row_ids`."""

    __slots__ = ()
    dtype = np.dtype("<u8")


class KeyRows(Rows):
    """Keyed hashes, of identities or of image_ids."""

    __slots__ = ()
    dtype = np.dtype("<u8")
