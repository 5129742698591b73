"""Looks into a SavedModel before TensorFlow loads it."""

import os
import re
from collections.abc import Iterator

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError

# Operations that run Python, read and write files or speak to other machines: a network needs none,
# and a foreign graph that has one could do anything on the machine. By families, so that the next
# version of an operation is refused too. What saves and restores variables (SaveV2, RestoreV2,
# MergeV2Checkpoints) is in every SavedModel, and summaries without a writer are in many.
_FORBIDDEN = re.compile(
    r"PyFunc|ReadFile|WriteFile|MatchingFiles|FileSystem|TableFromTextFile|Dataset|Reader|Rpc"
    r"|Summary(?:File|Db)?Writer|^Write\w*Summary$|^Debug|DumpTensor|ImmutableConst|Remap"
    r"|^(?:Save|SaveSlices|DistributedSave|Restore|RestoreSlice|DTensorRestoreV2)$"
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
        if _FORBIDDEN.search(name):
            raise ParameterError(
                "file",
                os.path.basename(path),
                must="be a network that only computes",
                but=f"its graph has the operation {name}",
                do="save the model without it",
            )


def _operations(saved: object) -> Iterator[str]:
    """The names of all operations; one that prints into a file is called WriteFile too."""
    for meta in saved.meta_graphs:  # type: ignore[attr-defined]
        library = meta.graph_def.library.function
        for nodes in (meta.graph_def.node, *(function.node_def for function in library)):
            for node in nodes:
                yield node.op
                if node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:"):
                    yield "PrintV2, as WriteFile"
