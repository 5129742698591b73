"""Looks into a SavedModel before TensorFlow loads it."""

import os
from collections.abc import Iterator

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError

# Operations that run Python, or read and write files: a network needs none, and a foreign graph
# that has one could do anything on the machine.
_FORBIDDEN = frozenset(
    (
        *("PyFunc", "PyFuncStateless", "EagerPyFunc"),
        *("ReadFile", "WriteFile", "MatchingFiles", "SaveSlices", "Save"),
        *("WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2"),
        *("FixedLengthRecordReader", "FixedLengthRecordReaderV2", "TFRecordReader"),
        *("TFRecordReaderV2", "TFRecordDataset", "TextLineDataset", "FixedLengthRecordDataset"),
        *("RpcCall", "RpcClient"),
    )
)
GRAPH = "saved_model.pb"


def check_operations(path: str) -> None:
    """Refuses a SavedModel whose graph can do more than compute.

    Args:
        path: of its folder.

    Raises:
        ParameterError: it has such an operation, or its graph cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(storage.read_bytes(os.path.join(path, GRAPH)))
    except (DecodeError, OSError) as error:
        raise ParameterError(
            "file",
            os.path.basename(path),
            must=f"be a SavedModel with a readable {GRAPH}",
            but=f"it has none ({error})",
            do="save the model anew",
        ) from None
    for name in _operations(saved):
        if name in _FORBIDDEN:
            raise ParameterError(
                "file",
                os.path.basename(path),
                must="be a network that only computes",
                but=f"its graph has the operation {name}",
                do="save the model without it",
            )


def _operations(saved: object) -> Iterator[str]:
    """The names of all operations outside of the functions that save and restore variables."""
    for meta in saved.meta_graphs:  # type: ignore[attr-defined]
        for node in meta.graph_def.node:
            yield node.op
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                yield node.op
