"""Graphs that can do more than compute are refused before TensorFlow loads them."""

import pytest

from facemill.model.runtimes.saved_model_file import GRAPH, check_operations
from facemill.transforms.core.errors import UsageError


def write(folder, operation: str, in_function: bool, stream: bytes = b"") -> str:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add().graph_def
    nodes = graph.library.function.add().node_def if in_function else graph.node
    node = nodes.add(name="one", op=operation)
    if stream:
        node.attr["output_stream"].s = stream
    (folder / GRAPH).write_bytes(saved.SerializeToString())
    return str(folder)


@pytest.mark.parametrize(
    "operation",
    [
        *("EagerPyFunc", "ReadFile", "TFRecordDatasetV2", "CSVDataset", "LMDBReader", "RpcClient"),
        *("SnapshotDatasetV2", "CreateSummaryFileWriter", "WriteScalarSummary", "DebugIdentityV3"),
        *("ImmutableConst", "InitializeTableFromTextFileV2", "LoadAndRemapMatrix", "Restore"),
    ],
)
def test_an_operation_that_reads_writes_or_runs_python_is_refused(tmp_path, operation):
    for in_function in (False, True):
        path = write(tmp_path, operation, in_function)
        with pytest.raises(UsageError, match=rf"only computes, .* the operation {operation}; save"):
            check_operations(path)


@pytest.mark.parametrize(
    "operation",
    ["Conv2D", "SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "ScalarSummary"],
)
def test_what_networks_have_and_what_saves_them_is_taken(tmp_path, operation):
    check_operations(write(tmp_path, operation, in_function=True))


def test_printing_is_taken_unless_into_a_file(tmp_path):
    check_operations(write(tmp_path, "PrintV2", True, b"stderr"))
    with pytest.raises(UsageError, match="the operation PrintV2, as WriteFile"):
        check_operations(write(tmp_path, "PrintV2", True, b"file:///etc/cron.d/x"))
