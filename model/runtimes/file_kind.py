"""Which runtime a model file is for, by its content; files that can run code are refused."""

import zipfile
from collections.abc import Sequence

from facemill.model.runtimes import onnx_file
from facemill.model.runtimes.choices import LITERT, ONNX, TENSORFLOW
from facemill.model.runtimes.saved_model_file import GRAPH
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError

_FORMATS = "a SavedModel folder or a .keras, TFLite or ONNX file"
_TFLITE = b"TFL3"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def kind_of(path: str, names: Sequence[str]) -> str:
    """The runtime of a model file.

    Args:
        path: absolute path of the file or folder, on a disk.
        names: relative paths of the files in the folder; none for a file.

    Raises:
        ParameterError: it is a pickle, or none of the formats.
    """
    if names:
        if GRAPH in names:
            return TENSORFLOW
        raise _none(path, f"the folder holds no {GRAPH}")
    content = storage.read_bytes(path)
    if _is_pickle(path, content):
        raise ParameterError(
            "file",
            path,
            must=f"be {_FORMATS}",
            but=f"{path} is a pickle, which can run any program when it is read",
            do="export the model as ONNX where it was trained",
        )
    if content[4:8] == _TFLITE:
        return LITERT
    if content.startswith(_HDF5):
        raise _none(path, "it is an HDF5 file", "save the model as .keras, or as a SavedModel")
    if content.startswith(b"PK"):
        if path.endswith(".keras"):
            return TENSORFLOW
        raise _none(path, "it is a ZIP file")
    if onnx_file.first_operations(content, 1):
        return ONNX
    raise _none(path, "its content is none of these" if content else "the file is empty")


def _is_pickle(path: str, content: bytes) -> bool:
    # PyTorch's files are a pickle, or a ZIP with one.
    if path.lower().endswith(_PICKLES):
        return True
    if content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(".pkl") for name in archive.namelist())
        except zipfile.BadZipFile:
            return False
    return False


def _none(path: str, but: str, do: str = "export the model in one of these formats") -> Exception:
    return ParameterError("file", path, must=f"be {_FORMATS}", but=f"{path} is not: {but}", do=do)
