"""What every layout of input offers to the jobs that read it."""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from facemill.transforms.core.reasons import Reason

WHOLE_FILE = -1


@dataclass(frozen=True, slots=True)
class Ref:
    """One listed image: who it is said to show, and where its bytes are, never the bytes.

    Attributes:
        image_id: stable key, '/'-separated; the path relative to the input, or the source's own
            key below the path of the file that holds it (`train.rec/17`, `0001.tar/ada/3.jpg`).
        identity: whose face it is, or None where the source does not say.
        path: of the file that holds the bytes, '/'-separated, relative to the input.
        offset: where they start in that file, in bytes; what a source makes of it is its own
            affair (Parquet has row numbers), so only the source that made a `Ref` reads it.
        length: how many bytes, or WHOLE_FILE.
        reason: why it cannot be used, when the listing knows that already; else None.
        split: the split that the source demands, or None.
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, in
            pixels of the upright image (left is the viewer's), or None.
        attributes: further (name, value) columns of the source, sorted by name.
        pixel_sha256: of the picture that a dataset's record was made from, where that is known.
        outcome: of an image that its dataset set aside, and has no record of: why, in a word;
            `reason` then says more. "" for all others.
        duplicate_of: of such an image: the one that its dataset names.
    """

    image_id: str
    identity: str | None
    path: str
    offset: int = 0
    length: int = WHOLE_FILE
    reason: Reason | None = None
    split: str | None = None
    landmarks: tuple[float, ...] | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    pixel_sha256: str | None = None
    outcome: str = ""
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where an image's bytes would: the reason that its row will give."""

    reason: Reason


class Source(abc.ABC):
    """A layout of input.

    It is made where the job is submitted and sent to the workers, so it holds names and options
    only. What is damaged inside the input is never raised: it becomes a `Ref` with a reason, so
    that every image and every damaged file ends in a row.

    Args:
        root: the input: an absolute path, or an object store's URL.

    Attributes:
        format: its name on the command line.
        identities: what an input of the format may name identities by, for when it names none; ""
            where that follows from the layout.
    """

    format: ClassVar[str]
    identities: ClassVar[str] = ""

    def __init__(self, root: str) -> None:
        self.root = root

    @abc.abstractmethod
    def tasks(self) -> list[str]:
        """Independent parts of the listing, in an order that follows from the input alone.

        Called once, where the job is submitted, so it must not open every image.

        Raises:
            UsageError: there is no such input, or nothing in it.
        """

    def attributes(self) -> Sequence[str] | None:
        """Names of all attributes that its images can have; None where only reading them tells.

        Called once, where the job is submitted, after `tasks`.
        """
        return ()

    @abc.abstractmethod
    def refs(self, task: str) -> Iterator[Ref]:
        """The images of one part, in an order that follows from the input alone.

        Called on a worker. No two images of an input have the same image_id.
        """

    @abc.abstractmethod
    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The bytes of images of this source, in the order of `refs`.

        At most `transforms.images.limits.MAX_BYTES` are held at a time; what is larger is
        `Unreadable`.
        Called on a worker, from several threads at once.

        Args:
            refs: without a reason of their own.
        """
