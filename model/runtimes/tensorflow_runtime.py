"""SavedModels and Keras files, run by TensorFlow."""

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from facemill.model.runtimes import keras_file, saved_model_file
from facemill.model.runtimes.base import Description, Tensor, need
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.errors import ParameterError, RunError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.tensorflow_threads import bound_tensorflow_threads
from facemill.transforms.scoring.refused import ImageRefusedError

MODULE, PACKAGE, EXTRA = "tensorflow", "tensorflow", "tensorflow"
DEFAULT_SIGNATURE = "serving_default"

_NOISE = re.compile(r"\[\[.*|\[Op:.*|\{\{.*?\}\}|Hint: .*")
_KERAS_INPUT, _KERAS_OUTPUT = "input", "output"


class TensorFlow:
    """A SavedModel or a Keras network.

    Args:
        path: of the folder or the file.
        spec: how it is called.
        batch: images in each call; calls give as many.
    """

    def __init__(self, path: str, spec: RuntimeSpec, batch: int) -> None:
        del batch
        need(PACKAGE, MODULE, EXTRA)
        import tensorflow as tf

        bound_tensorflow_threads()
        self._output = spec.output
        self._call: Callable[[Any], Any]
        if is_keras(path):
            network = keras_file.load(path)
            self._call = tf.function(lambda batch: _by_name(network(batch, training=False)))
        else:
            # The signature belongs to the loaded model, which must stay alive.
            self._loaded = _load(path)
            signature = self._loaded.signatures[spec.signature]
            switches = {name: tf.constant(False) for name in spec.switches}
            self._call = lambda batch: signature(**{spec.input: batch}, **switches)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See `Runtime`."""
        import tensorflow as tf

        try:
            return self._call(tf.constant(batch))[self._output].numpy()
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, ValueError) as error:
            text = f"the model cannot read it: {_message(error)}"
            raise ImageRefusedError(Reason(ReasonCode.MODEL_FAILED, text)) from None
        except tf.errors.OpError as error:
            raise RunError(
                f"The model must work on this machine, but TensorFlow failed ({_message(error)}); "
                "mend that, or lower `batch_size` where memory is short."
            ) from None


def is_keras(path: str) -> bool:
    """Whether a path is one of Keras's files."""
    return path.endswith(".keras")


def describe(path: str, signature: str | None = None) -> Description:
    """What a SavedModel or a Keras file tells of its network.

    Args:
        path: of the folder or the file.
        signature: of a SavedModel, or None for its default, or its only one.

    Raises:
        ParameterError: it is damaged, has operations that could do more than compute, or has no
            such signature.
    """
    need(PACKAGE, MODULE, EXTRA)
    if is_keras(path):
        network = keras_file.load(path)
        inputs, outputs = _listed(network.inputs), _listed(network.outputs)
        return Description(
            [Tensor(_numbered(_KERAS_INPUT, i), *_of_keras(one)) for i, one in enumerate(inputs)],
            [Tensor(_numbered(_KERAS_OUTPUT, i), *_of_keras(one)) for i, one in enumerate(outputs)],
        )
    saved_model_file.check_operations(path)
    signatures = _load(path).signatures
    name = signature or (next(iter(signatures)) if len(signatures) == 1 else DEFAULT_SIGNATURE)
    if name not in signatures:
        names = ", ".join(sorted(signatures)) or "none"
        raise ParameterError(
            "signature",
            name,
            must="be a signature of the SavedModel",
            but=f"it has {names}",
            do="give one of them" if signatures else "save the model with a signature",
        )
    chosen = signatures[name]
    return Description(
        [_tensor(key, one) for key, one in sorted(chosen.structured_input_signature[1].items())],
        [_tensor(key, one) for key, one in sorted(chosen.structured_outputs.items())],
        signature=name,
    )


def _load(path: str) -> Any:
    import tensorflow as tf

    try:
        return tf.saved_model.load(path)
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        text = _message(error, first=True)
        if "not registered" in str(error) or "custom op" in str(error).lower():
            text = f"it has an operation that TensorFlow does not know ({text})"
        raise ParameterError(
            "file",
            os.path.basename(path),
            must="be a SavedModel that TensorFlow can load",
            but=text,
            do="save the model anew, with TensorFlow's own operations",
        ) from None


def _by_name(found: Any) -> dict[str, Any]:
    """The outputs of a Keras network by the names that `describe` gives them."""
    return {_numbered(_KERAS_OUTPUT, index): one for index, one in enumerate(_listed(found))}


def _listed(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [found[key] for key in sorted(found)]
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name


def _of_keras(given: Any) -> tuple[tuple[int | None, ...], str]:
    return tuple(given.shape), str(given.dtype)


def _tensor(name: str, given: Any) -> Tensor:
    shape = None if given.shape.rank is None else tuple(given.shape.as_list())
    return Tensor(name, shape, given.dtype.name)


def _message(error: BaseException, first: bool = False) -> str:
    """The message of an error in one line that is equal in every process.

    Args:
        error: of TensorFlow.
        first: whether the message is the first line, as of files, and not the last, as of calls.
    """
    # Without hints and names of graph nodes, whose numbers depend on what the process loaded
    # before.
    text = getattr(error, "message", None) or str(error)
    lines = (_NOISE.sub("", line).strip() for line in text.splitlines())
    kept = [line for line in lines if line] or [type(error).__name__]
    return kept[0 if first else -1][:200].rstrip(".")
