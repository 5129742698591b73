"""Images that are in memory already, behind the interface that scan and scoring read from."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.reading import too_large


class InMemory(Source):
    """Some images whose bytes the caller holds.

    Args:
        contents: the bytes of each image; a `Ref` finds them by its `offset`.
    """

    format: ClassVar[str] = "memory"

    def __init__(self, contents: Sequence[bytes]) -> None:
        super().__init__("")
        self._contents = contents

    def tasks(self) -> list[str]:
        """One part, which holds all images."""
        return [""]

    def refs(self, task: str) -> Iterator[Ref]:
        """A reference for each image, named by its place."""
        del task
        return (Ref(str(place), None, "", place) for place in range(len(self._contents)))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each image's bytes."""
        for ref in refs:
            content = self._contents[ref.offset]
            large = len(content) > MAX_BYTES
            yield Unreadable(too_large(len(content), "image")) if large else content
