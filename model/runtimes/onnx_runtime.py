"""ONNX files, run by onnxruntime on the CPU in one thread."""

from typing import Any

import numpy as np

from facemill.model.runtimes import onnx_file
from facemill.model.runtimes.base import Description, Tensor, first_line, need, refused
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError

MODULE, PACKAGE, EXTRA = "onnxruntime", "onnxruntime", "onnx"

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


class OnnxRuntime:
    """An ONNX network.

    Args:
        path: of the file.
        spec: how it is called.
        batch: images in each call; calls give as many.
    """

    def __init__(self, path: str, spec: RuntimeSpec, batch: int) -> None:
        del batch
        self._session = _open(path)
        self._input, self._output = spec.input, spec.output

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See `Runtime`."""
        try:
            (found,) = self._session.run([self._output], {self._input: batch})
        # onnxruntime has a class of its own for each of its codes, all of them bare exceptions.
        except Exception as error:  # noqa: BLE001
            if isinstance(error, MemoryError) or "allocat" in str(error).lower():
                raise RunError(
                    "The model must work on this machine, but onnxruntime failed "
                    f"({first_line(error)}); give it more memory."
                ) from None
            raise refused(error) from None
        return found


def describe(path: str) -> Description:
    """What an ONNX file tells of its network.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        ParameterError: the file is damaged, or uses an operation that onnxruntime does not have.
    """
    session = _open(path)
    return Description(
        [_tensor(one) for one in session.get_inputs()],
        [_tensor(one) for one in session.get_outputs()],
        standardizes=onnx_file.standardizes(storage.read_bytes(path)),
    )


def _open(path: str) -> Any:
    need(PACKAGE, MODULE, EXTRA)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Errors only: they come as exceptions too.
    options.log_severity_level = 4
    try:
        # From memory: such a file can name no further file of this machine to be read.
        content = storage.read_bytes(path)
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - see above
        text = first_line(error)
        if "external" in str(error).lower():
            text = "its weights lie in another file; save it as one file"
        elif "is not a registered" in str(error) or "No Op registered" in str(error):
            text = f"it has an operation that onnxruntime does not know ({text})"
        raise ParameterError(
            "file",
            path,
            must="be an ONNX file that onnxruntime can run",
            but=text,
            do="export the model anew with ONNX's own operations, as one file",
        ) from None


def _tensor(given: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in given.shape)
    return Tensor(given.name, shape or None, _TYPES.get(given.type, given.type))
