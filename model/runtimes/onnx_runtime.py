"""ONNX files, run by onnxruntime on the CPU in one thread."""

import re
from typing import Any

import numpy as np

from facemill.model.runtimes import onnx_file
from facemill.model.runtimes.base import Description, Tensor, first_line, need, refused
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError

MODULE, PACKAGE, EXTRA = "onnxruntime", "onnxruntime", "onnx"

_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+:\d+ [^()]*\([^()]*\) (?:const )?")
_NEWER = re.compile(r"Opset (\d+) is under development.* till opset (\d+)", re.DOTALL)
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
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
        self._switches = {name: np.array(False) for name in spec.switches}

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See `Runtime`."""
        try:
            (found,) = self._session.run([self._output], {self._input: batch, **self._switches})
        # onnxruntime has a class of its own for each of its codes, all of them bare exceptions.
        except Exception as error:  # noqa: BLE001
            if isinstance(error, MemoryError) or "allocat" in str(error).lower():
                raise RunError(
                    "The model must work on this machine, but onnxruntime failed "
                    f"({_message(error)}); give it more memory."
                ) from None
            raise refused(_message(error)) from None
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
    content = storage.read_bytes(path)
    try:
        if onnx_file.names_other_files(content):
            raise _unusable(path, "its weights lie in another file", "save it as one file")
    except ValueError as error:
        raise _unusable(path, f"it is damaged: {error}", "export the model anew") from None
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - see above
        text = _message(error)
        if "is not a registered" in str(error) or "No Op registered" in str(error):
            text = f"it has an operation that onnxruntime does not know ({text})"
        do = "export the model anew, with ONNX's own operations and a version that it knows"
        raise _unusable(path, text, do) from None


def _unusable(path: str, but: str, do: str) -> ParameterError:
    return ParameterError(
        "file", path, must="be an ONNX file that onnxruntime can run", but=but, do=do
    )


def _message(error: BaseException) -> str:
    """What onnxruntime says, without its codes and the function of its own that says it."""
    text = _NOISE.sub("", str(error))
    newer = _NEWER.search(text)
    if newer:
        return f"its opset {newer[1]} is newer than the {newer[2]} that this onnxruntime knows"
    return first_line(text)


def _tensor(given: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in given.shape)
    return Tensor(given.name, shape or None, _TYPES.get(given.type, given.type))
