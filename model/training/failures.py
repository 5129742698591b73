"""What TensorFlow raises where a machine is too small, as errors of one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from facemill.transforms.core.errors import RunError

_NODE = re.compile(r"\{\{.*?\}\}")
_LONGEST = 200
# Parts of what the system says where a file cannot be written, in lower case.
_DISK = ("no space left", "file too large", "quota exceeded", "input/output error")


@contextmanager
def failures_in_sentences() -> Iterator[None]:
    """Reports what TensorFlow or Python cannot get from the machine while the block runs.

    Raises:
        RunError: memory or disk were too small, or TensorFlow failed otherwise.
    """
    try:
        yield
    except MemoryError:
        raise _too_large("an allocation failed") from None
    except tf.errors.OpError as error:
        said = _said(error)
        if any(part in error.message.lower() for part in _DISK):
            raise RunError(
                f"Checkpoints and logs must be writable, but TensorFlow failed ({said}); make room "
                "or lift the limit, and run the same command again."
            ) from None
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise _too_large(said) from None
        raise RunError(
            f"TensorFlow must work on this machine, but it failed ({said}); mend that and run the "
            "same command again."
        ) from None


def _said(error: tf.errors.OpError) -> str:
    """The first line of the message, without the name of the node; its end if it is long."""
    lines = _NODE.sub("", error.message).strip().splitlines()
    text = lines[0].strip().rstrip(".") if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def _too_large(said: str) -> RunError:
    return RunError(
        f"A batch must fit into memory, but {said}; lower `batch_size` or the size of the network."
    )
