"""Formats in which a trained network is exported; help texts import them, so light."""

from facemill.model.runtimes.choices import LITERT, ONNX, TENSORFLOW

SAVED_MODEL, KERAS, TFLITE = "saved_model", "keras", "tflite"
TFLITE_FLOAT16, TFLITE_DYNAMIC, TFLITE_INT8 = "tflite_float16", "tflite_dynamic", "tflite_int8"
ONNX_FILE = "onnx"
# In the order in which they are listed.
EXPORT_FORMATS = (
    *(TFLITE, SAVED_MODEL, ONNX_FILE, KERAS),
    *(TFLITE_FLOAT16, TFLITE_DYNAMIC, TFLITE_INT8),
)
# The file or folder of each, relative to the artifact.
FILES = {
    SAVED_MODEL: "saved_model",
    KERAS: "embedder.keras",
    TFLITE: "embedder.tflite",
    TFLITE_FLOAT16: "embedder_float16.tflite",
    TFLITE_DYNAMIC: "embedder_dynamic.tflite",
    TFLITE_INT8: "embedder_int8.tflite",
    ONNX_FILE: "embedder.onnx",
}
RUNTIME_OF = {
    SAVED_MODEL: TENSORFLOW,
    KERAS: TENSORFLOW,
    TFLITE: LITERT,
    TFLITE_FLOAT16: LITERT,
    TFLITE_DYNAMIC: LITERT,
    TFLITE_INT8: LITERT,
    ONNX_FILE: ONNX,
}
# Largest difference of a component of two vectors of length 1 up to which a file counts as the
# network itself; rounding in another order gives some 1e-6.
TOLERANCE = 1e-4

_NAMES = {file: name for name, file in FILES.items()}


def format_of(file: str) -> str | None:
    """The format of a file of a trained model, None for any other.

    Args:
        file: relative to the artifact.
    """
    return _NAMES.get(file)
