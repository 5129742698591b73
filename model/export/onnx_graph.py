"""The ONNX file of a model, by tf2onnx."""

from facemill.model.export.embedder import Embedder
from facemill.model.export.frozen import frozen, quiet
from facemill.model.runtimes.base import need
from facemill.model.runtimes.choices import ONNX
from facemill.model.runtimes.formats import FILES, ONNX_FILE
from facemill.model.runtimes.spec import RuntimeSpec

PACKAGE, EXTRA = "tf2onnx", "onnx-export"
# The newest that tf2onnx is tested with; onnxruntime reads it since 1.14.
_OPSET = 17


def check_packages() -> None:
    """Checks that the packages are installed that convert the network and run the result.

    Raises:
        MissingPackageError: one is not.
    """
    need(PACKAGE, PACKAGE, EXTRA)
    need("onnxruntime", "onnxruntime", EXTRA)


def convert(embedder: Embedder) -> tuple[bytes, RuntimeSpec]:
    """The content of an ONNX file, and how it is called: uint8 [N, S, S, 3] -> float32 [N, D].

    Args:
        embedder: with trained weights.
    """
    import tf2onnx

    with quiet():
        # tf2onnx makes required inputs of the constants that a function captures; frozen, they are
        # constants of the graph.
        graph = frozen(embedder.embed, embedder.image_size)
        given, found = graph.inputs[0].name, graph.outputs[0].name
        proto, _ = tf2onnx.convert.from_graph_def(
            graph.graph.as_graph_def(), input_names=[given], output_names=[found], opset=_OPSET
        )
    spec = RuntimeSpec(
        ONNX,
        FILES[ONNX_FILE],
        input=given,
        output=found,
        dtype="uint8",
        normalize=False,
    )
    return proto.SerializeToString(deterministic=True), spec
