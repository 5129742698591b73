"""What a listing says of a file, and why some files must not be opened."""

from dataclasses import dataclass

from facemill.transforms.core.reasons import Reason, ReasonCode

NOT_UTF8 = Reason(ReasonCode.NAME_NOT_UTF8, "its name is not valid UTF-8")
LINK_OUT = Reason(ReasonCode.LINK_OUT_OF_INPUT, "is a symbolic link that leads out of the input")
# What such a link shows has a place of its own in the input; followed, it would be listed twice.
LINK_TO_FOLDER = Reason(
    ReasonCode.LINK_TO_FOLDER, "is a symbolic link to a folder, which is not followed"
)
DEAD_LINK = Reason(ReasonCode.DEAD_LINK, "is a symbolic link that leads nowhere")
NOT_A_FILE = Reason(ReasonCode.NOT_A_FILE, "is neither a file nor a folder")


@dataclass(frozen=True, slots=True)
class Entry:
    """A listed file.

    Attributes:
        name: '/'-separated, relative to the listed root; always text that UTF-8 can hold, and no
            other file's: of one that UTF-8 cannot hold `FOLDER/./NAME` with escapes.
        reason: why it must not be opened, or None.
    """

    name: str
    reason: Reason | None = None
