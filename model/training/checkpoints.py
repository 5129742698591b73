"""Writing checkpoints and taking up the newest one that is undamaged."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from facemill.model.training import state
from facemill.model.training.history import History
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError

# TensorFlow's list of the checkpoints of a folder.
LIST = "checkpoint"
_INDEX = re.compile(r"ckpt-(\d+)\.index$")
# What TensorFlow writes before it renames, and what it renames before the index file.
_UNFINISHED = re.compile(r"(ckpt-\d+)(_temp|\.data-\d+-of-\d+|\.index\.tempstate\d+)$")


class Checkpoints:
    """The checkpoints of a run, each with the history up to it.

    Args:
        variables: by name, all that the run needs to go on.
        history: of the run.
        folder: where they are written, on this machine.
    """

    def __init__(self, variables: Mapping[str, Any], history: History, folder: str) -> None:
        self._variables = variables
        self._history = history
        self._folder = folder
        self._checkpoint = tf.train.Checkpoint(state=dict(variables))
        mend_list(folder)
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=2)
        remove_unfinished(folder, self._manager.checkpoints)

    def save(self, step: int) -> None:
        """Writes the checkpoint of a step and removes all but the newest two."""
        # The history is written first: a run cannot resume from a checkpoint without its history.
        self._history.save(step)
        self._manager.save(step)
        self._history.forget(self._manager.checkpoints)

    def restore(self) -> int | None:
        """Takes up the newest undamaged checkpoint.

        Returns:
            Its step; None if there are no checkpoints.

        Raises:
            RunError: all are damaged, or one does not fit the model.
        """
        damaged: list[str] = []
        for path in newest_first(self._folder, self._manager.checkpoints):
            try:
                self._check_fit(path)
                self._checkpoint.restore(path).assert_consumed()
                step = int(path.rsplit("-", 1)[1])
                self._history.load(step)
            # What TensorFlow's checkpoint reader and `History.load` raise on damaged files.
            except (
                OSError,
                ValueError,
                TypeError,
                LookupError,
                AssertionError,
                tf.errors.OpError,
            ) as error:
                damaged.append(f"{path} ({type(error).__name__})")
                continue
            if damaged:
                print(f"damaged and passed over: {', '.join(damaged)}", file=sys.stderr)
            return step
        if damaged:
            raise RunError(
                "A checkpoint of the run before must be undamaged, but none is that is there: "
                f"{', '.join(damaged)}; bring one back, or train anew by `restart`."
            )
        return None

    def _check_fit(self, path: str) -> None:
        """Refuses a checkpoint of another model, such as one that another version wrote."""
        found = state.differences(state.shapes_in(path), state.shapes(self._variables))
        if found:
            raise RunError(
                f"The checkpoint {path} must fit the model, but it differs "
                f"({state.summary(found)}); go on with the version of facemill that wrote it, or "
                "train anew by `restart`."
            )


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


def remove_unfinished(folder: str, listed: Sequence[str]) -> None:
    """Removes what a kill or a full disk left of checkpoints that were never complete.

    Files of a checkpoint that is listed stay, even if some are lost: they may be brought back.

    Args:
        folder: of the checkpoints, on this machine; it may be absent.
        listed: paths of the listed ones.
    """
    kept = {os.path.basename(path) for path in listed} | set(_found(folder))
    for name in _names(folder):
        match = _UNFINISHED.match(name)
        # A folder of this kind is emptied and removed before its checkpoint is listed.
        if match and (match[2] == "_temp" or match[1] not in kept):
            storage.remove(os.path.join(folder, name))


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
    steps = sorted(int(match[1]) for match in map(_INDEX.match, _names(folder)) if match)
    yield from (f"ckpt-{step}" for step in steps)


def _names(folder: str) -> list[str]:
    try:
        return list(storage.names(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_readable(folder: str) -> bool:
    try:
        state = tf.train.get_checkpoint_state(folder)
    # TensorFlow decodes the file before it parses it.
    except (ValueError, tf.errors.OpError):
        return False
    return state is not None
