"""A source of images in memory, which scan and scoring read like files."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from facemill.transforms.images.decode import MAX_BYTES
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.reading import too_large


class InMemory(Source):
    """Images whose bytes are in memory.

    Args:
        contents: the bytes of each image; the `offset` of a `Ref` is an index in it.
    """

    format: ClassVar[str] = "memory"

    def __init__(self, contents: Sequence[bytes]) -> None:
        super().__init__("")
        self._contents = contents

    def tasks(self) -> list[str]:
        """One part, which holds all images."""
        return [""]

    def refs(self, task: str) -> Iterator[Ref]:
        """A reference for each image, named by its index."""
        del task
        return (Ref(str(index), None, "", index) for index in range(len(self._contents)))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each image's bytes."""
        for ref in refs:
            content = self._contents[ref.offset]
            large = len(content) > MAX_BYTES
            yield Unreadable(too_large(len(content), "image")) if large else content
