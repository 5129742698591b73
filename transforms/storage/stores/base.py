"""What a client of an object store offers. `transforms.storage.objects` builds files from it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]+)(?:/(.*))?", re.DOTALL)


class Address(NamedTuple):
    """The parts of an object's URL.

    Attributes:
        scheme: "s3" or "gs".
        bucket: the name of the bucket.
        key: the name of the object, or a prefix of names; "" for the bucket itself.
    """

    scheme: str
    bucket: str
    key: str


def address(url: str) -> Address | None:
    """The parts of a URL; None if it names no bucket."""
    found = _URL.fullmatch(url)
    return None if found is None else Address(found[1].lower(), found[2], found[3] or "")


@dataclass(frozen=True)
class Listed:
    """An object of a listing.

    Attributes:
        key: its name, or a common prefix that ends in "/".
        size: bytes; 0 for a prefix.
        version: another text whenever the content is another; "" for a prefix.
    """

    key: str
    size: int = 0
    version: str = ""


@dataclass(frozen=True)
class Stat:
    """What a store reports of an object.

    Attributes:
        size: bytes.
        version: identifies the object's content; an ETag or a generation.
        md5: of the content in hex, or None where the store does not know it.
        age: seconds since it was written, by the store's own clock.
    """

    size: int
    version: Any
    md5: str | None
    age: float


class ConditionError(Exception):
    """A conditional write was refused: the object exists, or is not the expected version."""


class Absent:
    """A condition of a write: no object has the name."""


class ObjectStore(ABC):
    """A bucket of an object store.

    Every method may raise the errors of `transforms.storage.stores.errors`; none of them retries.
    Several threads may share one store. One call sends one request where it can, since what is
    tried again is the call.

    Attributes:
        deleted_at_once: how many objects one request deletes.
    """

    deleted_at_once: int

    @abstractmethod
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes of an object from `start` on, at most `length` of them."""

    @abstractmethod
    def stat(self, key: str) -> Stat | None:
        """What the store knows of an object; None if there is none."""

    @abstractmethod
    def put(self, key: str, data: bytes, only_if: type[Absent] | Any = None) -> Any:
        """Writes an object and returns its version.

        Args:
            key: its name.
            data: its content.
            only_if: `Absent`, the version that is to be replaced, or None for no condition.

        Raises:
            ConditionError: the condition does not hold.
        """

    @abstractmethod
    def put_stream(self, key: str, stream: BinaryIO, size: int, only_if: Any = None) -> None:
        """Writes a large object from an open file; see `put`."""

    @abstractmethod
    def list(
        self, prefix: str, one_level: bool = False, page: str | None = None
    ) -> tuple[list[Listed], str | None]:
        """A page of the objects whose names begin with a prefix.

        Args:
            prefix: the beginning of the names.
            one_level: whether names that go on after a further "/" are cut there and listed once.
            page: which page, as the call before returned it; None for the first.

        Returns:
            (the objects, the next page or None).
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects, at most `deleted_at_once`; absent ones are ignored."""

    @abstractmethod
    def copy(self, bucket: str, source: str, key: str) -> None:
        """Copies an object of a bucket of the same store, without a download."""

    @abstractmethod
    def probe(self, key: str) -> None:
        """Asks the store once, with short limits of time, whether the bucket can be used."""
