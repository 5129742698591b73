"""The interface of a source: listing the images of an input, and reading their bytes."""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from facemill.transforms.core.reasons import Reason
from facemill.transforms.dataset.identity_names import EXACT
from facemill.transforms.sources.guesses import Guess

WHOLE_FILE = -1


@dataclass(frozen=True, slots=True)
class Ref:
    """One listed image: its key, its identity and where its bytes lie, never the bytes.

    Attributes:
        image_id: stable key, '/'-separated: the path relative to the input, or the source's own
            key below the path of the file that holds it (`train.rec/17`, `0001.tar/ada/3.jpg`).
        identity: whose face it is, or None where the source does not say. A source spells it as it
            finds it; the listing brings it to its normal form, see `labels.in_normal_form`.
        path: path of the file that holds the bytes, '/'-separated, relative to the input.
        offset: where the bytes start in that file. Most sources count bytes, Parquet counts rows;
            only the source that made a `Ref` interprets it.
        length: the number of bytes, or WHOLE_FILE.
        reason: why the image cannot be used, if the listing knows that already; else None.
        split: the split that the source requests, or None.
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, in
            pixels of the upright image (left is the viewer's), or None.
        attributes: further (name, value) columns of the source, sorted by name.
        pixel_sha256: the `pixel_sha256` of the image from which a dataset's record was made, or
            None.
        outcome: for an exclusion of a dataset, which has no record, its outcome; `reason` then
            holds the details. "" for all other images.
        duplicate_of: for an exclusion, the image that its row names; else None.
        identity_source: the source's spelling of the identity, where the listing changed it; else
            None.
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
    identity_source: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for an image's bytes that cannot be read; its row will give the reason."""

    reason: Reason


class Source(abc.ABC):
    """A layout of input.

    The launcher makes a source and sends it to the workers, so it holds names and options only. A
    source never raises an error for damage inside the input: it lists a `Ref` with a reason, so
    that every image and every damaged file has a row.

    Args:
        root: the input: an absolute path, or an object store's URL.

    Attributes:
        format: the name of the format on the command line.
        identities: how an input of the format can name identities, for the message about an input
            that names none; "" where the layout itself names them.
        match_names: how the listing compares names of identities, one of
            `transforms.dataset.identity_names.MATCHES`; the launcher sets it.
        images_root: the folder that the paths of images are relative to, of most sources `root`.
        names_nobody: whether images are listed without identities, whatever the input says; the
            launcher sets it.
    """

    format: ClassVar[str]
    identities: ClassVar[str] = ""
    match_names: str = EXACT
    names_nobody: bool = False

    def __init__(self, root: str) -> None:
        self.root = root
        self.images_root = root

    @abc.abstractmethod
    def tasks(self) -> list[str]:
        """Independent parts of the listing, in an order that follows from the input alone.

        The launcher calls it once, so it must not open every image.

        Raises:
            UsageError: there is no such input, or nothing in it.
        """

    def attributes(self) -> Sequence[str] | None:
        """Names of all attributes that the images can have; None if only the listing finds out.

        The launcher calls it once, after `tasks`.
        """
        return ()

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """What was taken for the layout or the columns, where something else was possible.

        The launcher calls it once, after `tasks`. It opens one file at most of many, and reads its
        beginning.

        Args:
            tasks: what `tasks` returned.
        """
        del tasks
        return []

    @abc.abstractmethod
    def refs(self, task: str) -> Iterator[Ref]:
        """The images of one part, in an order that follows from the input alone.

        Workers call it. No two images of an input have the same image_id.
        """

    @abc.abstractmethod
    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The bytes of images of this source, in the order of `refs`.

        It holds at most `transforms.images.limits.MAX_BYTES` at a time; a larger image is
        `Unreadable`. Workers call it, from several threads at once.

        Args:
            refs: references that have no reason.
        """
