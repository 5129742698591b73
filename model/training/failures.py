"""What TensorFlow raises where a machine is too small or data is damaged, as one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from facemill.model.data import shard_files
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


def of_records(error: tf.errors.OpError, dataset: str, step: int) -> Exception:
    """What to raise in place of what TensorFlow raised while it read training images.

    Args:
        error: of TensorFlow.
        dataset: path of the dataset.
        step: steps done.

    Returns:
        What went wrong with a download, a sentence about a record, or the error itself.
    """
    failure = shard_files.failure()
    if failure is not None:
        return failure
    if not isinstance(error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
        return error
    return RunError(
        f"Every record of {dataset} must be an image of a known identity, but TensorFlow stopped "
        f"after step {step} ({_first_line(error)}); ingest again."
    )


def of_validation(error: Exception, image_size: int, step: int) -> RunError:
    """What to raise in place of an error of a validation.

    Args:
        error: of TensorFlow, which cannot decode an image, or a ValueError of its embedding.
        image_size: of the model.
        step: steps done.
    """
    if isinstance(error, tf.errors.OpError):
        return RunError(
            f"Every image of validation must be a JPEG or PNG of {image_size} pixels, but "
            f"TensorFlow stopped ({_first_line(error)}); ingest again."
        )
    return RunError(
        f"The model must embed every image of validation, but after step {step} it does not "
        f"({error}); lower `learning_rate` and train again."
    )


def _first_line(error: tf.errors.OpError) -> str:
    return error.message.splitlines()[0][:_LONGEST]


def _said(error: tf.errors.OpError) -> str:
    """The first line of the message, without the name of the node; its end if it is long."""
    lines = _NODE.sub("", error.message).strip().splitlines()
    text = lines[0].strip().rstrip(".") if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def _too_large(said: str) -> RunError:
    return RunError(
        f"A batch must fit into memory, but {said}; lower `batch_size` or the size of the network."
    )
