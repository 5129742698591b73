"""How many images a job has finished, reported through files, which work with every runner."""

import os

from facemill.transforms import storage


def mark_done(folder: str, key: str, images: int) -> None:
    """Makes an empty file, the mark, whose name holds the number of images of a piece of work.

    Args:
        folder: of the marks; the first mark makes it, in a folder that the launcher has made.
        key: of the piece of work, without "-"; a piece that is done twice is counted once.
        images: number of its images.

    Raises:
        RunError: this machine does not see the parent of the marks' folder.
    """
    path = os.path.join(folder, f"{key}-{images}")
    try:
        storage.touch(path)
    except FileNotFoundError:
        # Only for the first piece of a run.
        storage.make_folder(folder)
        storage.touch(path)


def images_done(folder: str) -> int:
    """The number of finished images; 0 as long as there is no mark.

    Raises:
        OSError: the folder cannot be read.
        ValueError: a file in it is not a mark.
    """
    try:
        return sum(int(name.rpartition("-")[2]) for name in storage.names(folder))
    except FileNotFoundError:
        return 0
