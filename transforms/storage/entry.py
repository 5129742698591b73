"""An entry of a listing, and the reasons why some files must not be opened."""

from dataclasses import dataclass

from facemill.transforms.core.reasons import Reason, ReasonCode

NOT_UTF8 = Reason(ReasonCode.NAME_NOT_UTF8, "its name is not valid UTF-8")
LINK_OUT = Reason(ReasonCode.LINK_OUT_OF_INPUT, "is a symbolic link that leads out of the input")
# The folder is listed under its own path; if links were followed, its files would be listed twice.
LINK_TO_FOLDER = Reason(
    ReasonCode.LINK_TO_FOLDER, "is a symbolic link to a folder, which is not followed"
)
DEAD_LINK = Reason(ReasonCode.DEAD_LINK, "is a symbolic link that leads nowhere")
NOT_A_FILE = Reason(ReasonCode.NOT_A_FILE, "is neither a file nor a folder")

# The object by which a run holds an output on a store.
LEASE = ".lease"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What a disk or a store says of a file without reading it.

    Attributes:
        name: '/'-separated, relative to the listed root; may have lone surrogates.
        size: bytes; -1 where the disk does not say.
        version: another text whenever the file was written anew: on a disk the time of its last
            change in nanoseconds, on a store what it calls the content.
        changed: seconds since 1970 of that change; None on a store.
    """

    name: str
    size: int
    version: str
    changed: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A listed file.

    Attributes:
        name: '/'-separated, relative to the listed root; always valid UTF-8 and unique. For a file
            whose name is not UTF-8 it is `FOLDER/./NAME` with escapes.
        reason: why it must not be opened, or None.
    """

    name: str
    reason: Reason | None = None
