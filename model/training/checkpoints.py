"""Which checkpoints a folder holds: by TensorFlow's own list, and without it by their files."""

import os
import re
from collections.abc import Iterator, Sequence

import tensorflow as tf

from facemill.transforms import storage

# TensorFlow's list of the checkpoints of a folder.
LIST = "checkpoint"
_INDEX = re.compile(r"ckpt-(\d+)\.index$")


def mend_list(folder: str) -> None:
    """Writes TensorFlow's list of checkpoints anew where it is lost or cannot be read.

    `tf.train.CheckpointManager` knows no checkpoint without it, however many there are.

    Args:
        folder: of the checkpoints, on this machine; it may be absent.
    """
    names = list(_found(folder))
    if not names or _is_readable(folder):
        return
    tf.compat.v1.train.update_checkpoint_state(folder, names[-1], names)


def newest_first(folder: str, listed: Sequence[str]) -> Iterator[str]:
    """Paths of checkpoints without extension: those of the list, then any other, newest first.

    Args:
        folder: of the checkpoints.
        listed: paths of the listed ones, oldest first.
    """
    names = {os.path.basename(path) for path in listed}
    yield from reversed(listed)
    for name in reversed(list(_found(folder))):
        if name not in names:
            yield os.path.join(folder, name)


def _found(folder: str) -> Iterator[str]:
    """Names of the checkpoints that have an index file, oldest first."""
    try:
        names = storage.names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    steps = sorted(int(match[1]) for match in map(_INDEX.match, names) if match)
    yield from (f"ckpt-{step}" for step in steps)


def _is_readable(folder: str) -> bool:
    try:
        state = tf.train.get_checkpoint_state(folder)
    # TensorFlow decodes the file before it parses it.
    except (ValueError, tf.errors.OpError):
        return False
    return state is not None
