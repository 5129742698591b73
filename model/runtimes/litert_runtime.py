"""TFLite files, run by LiteRT (ai-edge-litert) in one thread."""

from collections.abc import Callable
from typing import Any

import numpy as np

from facemill.model.runtimes.base import Description, Tensor, first_line, need, refused
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.errors import ParameterError, RunError

MODULE, PACKAGE, EXTRA = "ai_edge_litert", "ai-edge-litert", "litert"


class LiteRT:
    """A TFLite network.

    Args:
        path: of the file.
        spec: how it is called.
        batch: images in each call.
        interpreter: opens the file, where that is not LiteRT's own.
    """

    def __init__(
        self,
        path: str,
        spec: RuntimeSpec,
        batch: int,
        interpreter: Callable[[str], Any] | None = None,
    ) -> None:
        self._interpreter = (interpreter or _open)(path)
        self._input = _named(self._interpreter.get_input_details(), spec.input)
        self._output = _named(self._interpreter.get_output_details(), spec.output)
        if spec.batch is None:
            shape = [batch, *map(int, self._input["shape"][1:])]
            self._interpreter.resize_tensor_input(self._input["index"], shape)
        _allocate(self._interpreter, path)
        for name in spec.switches:
            switch = _named(self._interpreter.get_input_details(), name)
            self._interpreter.set_tensor(switch["index"], np.array(False))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See `Runtime`."""
        try:
            self._interpreter.set_tensor(self._input["index"], _quantized(batch, self._input))
            self._interpreter.invoke()
            found = self._interpreter.get_tensor(self._output["index"])
        except (RuntimeError, ValueError) as error:
            if "alloc" in str(error).lower():
                raise RunError(
                    "The model must work on this machine, but LiteRT failed "
                    f"({first_line(error)}); give it more memory."
                ) from None
            raise refused(error) from None
        return _dequantized(found, self._output)


def describe(path: str) -> Description:
    """What a TFLite file tells of its network.

    Raises:
        MissingPackageError: LiteRT is not installed.
        ParameterError: the file is damaged or uses an operation that LiteRT does not have.
    """
    interpreter = _open(path)
    _allocate(interpreter, path)
    return Description(
        [_tensor(one) for one in interpreter.get_input_details()],
        [_tensor(one) for one in interpreter.get_output_details()],
    )


def _open(path: str) -> Any:
    need(PACKAGE, MODULE, EXTRA)
    from ai_edge_litert.interpreter import Interpreter

    try:
        return Interpreter(path, num_threads=1)
    except (RuntimeError, ValueError) as error:
        raise _unusable(path, error) from None


def _allocate(interpreter: Any, path: str) -> None:
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise _unusable(path, error) from None


def _unusable(path: str, error: BaseException) -> ParameterError:
    text = first_line(error)
    if "custom op" in str(error).lower() or "unresolved" in str(error).lower():
        text = f"it has an operation of its own ({text})"
    return ParameterError(
        "file",
        path,
        must="be a TFLite file that LiteRT can run",
        but=text,
        do="convert the model to TensorFlow Lite's built-in operations",
    )


def _named(details: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for one in details:
        if one["name"] == name:
            return one
    raise RunError(
        f"The TFLite file must have the tensor {name!r} of its manifest, but has not; import it "
        "again."
    )


def _tensor(detail: dict[str, Any]) -> Tensor:
    signature = detail["shape_signature"]
    sizes = signature if len(signature) else detail["shape"]
    shape = tuple(None if size < 0 else int(size) for size in sizes)
    # A quantized tensor stands for real numbers, into and from which calls convert.
    dtype = "float32" if detail["quantization"][0] else np.dtype(detail["dtype"]).name
    return Tensor(detail["name"], shape, dtype)


def _quantized(batch: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    step, zero = detail["quantization"]
    if not step:
        return batch
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(batch / step) + zero, limits.min, limits.max).astype(detail["dtype"])


def _dequantized(found: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    step, zero = detail["quantization"]
    return (found.astype(np.float32) - zero) * np.float32(step) if step else found
