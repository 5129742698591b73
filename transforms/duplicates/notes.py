"""What the confirmation of candidates notes for the end of a run, beside its edges.

Each element of candidates that has something to note makes an empty file whose name holds the
numbers, so a runner that confirms an element twice makes the same file again.
"""

import os
from dataclasses import dataclass

from facemill.transforms import storage

_FOLDER = "notes"


@dataclass(frozen=True, slots=True)
class Notes:
    """Counts of a run.

    Attributes:
        alike: pairs of images that are alike without being one photo, see `confirm.Comparison`.
        cut_short: images of which not all candidates were compared, see `budget`.
    """

    alike: int = 0
    cut_short: int = 0


def note(staging: str, key: int, notes: Notes) -> None:
    """Notes the counts of one element.

    Args:
        staging: the staging folder.
        key: of the element, different from those of others.
        notes: its counts; all zeros make no file.
    """
    if notes == Notes():
        return
    folder = os.path.join(staging, _FOLDER)
    path = os.path.join(folder, f"{key:016x}-{notes.alike}-{notes.cut_short}")
    try:
        storage.touch(path)
    except FileNotFoundError:
        storage.make_folder(folder)
        storage.touch(path)


def noted(staging: str) -> Notes:
    """The sums over all elements.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        names = storage.names(os.path.join(staging, _FOLDER))
    except FileNotFoundError:
        return Notes()
    counts = [[int(number) for number in name.split("-")[1:]] for name in names]
    return Notes(sum(alike for alike, _ in counts), sum(cut for _, cut in counts))
