"""How many images a job is done with, reported by files, since every runner has those."""

import os

from facemill.transforms import storage


def mark_done(folder: str, key: str, images: int) -> None:
    """Leaves an empty file whose name says how many images a piece of work has.

    Args:
        folder: of the marks; made by the first of them, in a folder that the launcher has made.
        key: of the piece of work, without "-": a piece that is done twice is counted once.
        images: how many it has.

    Raises:
        RunError: this machine does not see the folder in which the marks lie.
    """
    path = os.path.join(folder, f"{key}-{images}")
    try:
        storage.touch(path)
    except FileNotFoundError:
        # Of a run's first piece only.
        storage.make_folder(folder)
        storage.touch(path)


def images_done(folder: str) -> int:
    """How many images are done; 0 as long as there is no mark.

    Raises:
        OSError: the folder cannot be read.
        ValueError: something in it is no mark.
    """
    try:
        return sum(int(name.rpartition("-")[2]) for name in storage.names(folder))
    except FileNotFoundError:
        return 0
