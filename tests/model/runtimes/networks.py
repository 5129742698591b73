"""Tiny networks in each format: the mean color of an image times fixed weights."""

from pathlib import Path

import numpy as np

SIZE, DIMENSIONS = 16, 5
WEIGHTS = np.random.default_rng(7).normal(size=(3, DIMENSIONS)).astype(np.float32)
BIAS = np.linspace(-1, 1, DIMENSIONS, dtype=np.float32)


def expected(pixels, mean=127.5, scale=1 / 128, color="rgb", normalize=True) -> np.ndarray:
    """What the network gives for crops uint8 [N, S, S, 3]."""
    samples = (pixels[..., :: 1 if color == "rgb" else -1].astype(np.float64) - mean) * scale
    vectors = samples.mean(axis=(1, 2)) @ WEIGHTS + BIAS
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors


def crops(count: int = 5) -> np.ndarray:
    """uint8 [N, S, S, 3] of different colors."""
    colors = np.random.default_rng(3).integers(0, 256, (count, 1, 1, 3))
    noise = np.random.default_rng(4).integers(-9, 10, (count, SIZE, SIZE, 3))
    return np.clip(colors + noise, 0, 255).astype(np.uint8)


def write_onnx(
    path: Path, batch: int | None = 1, standardizes: bool = False, reshapes: bool = False
) -> Path:
    """float32 [batch, 3, S, S] -> [batch, D].

    Args:
        path: to write.
        batch: fixed, or None for any.
        standardizes: whether the network subtracts the mean and scales itself.
        reshapes: whether the batch of 1 is written down in the middle of the network.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    names = {
        "weights": WEIGHTS,
        "bias": BIAS,
        "mean": np.float32(127.5),
        "scale": np.float32(1 / 128),
    }
    if reshapes:
        names["shape"] = np.int64([1, 3])
    nodes = []
    before = "image"
    if standardizes:
        nodes = [
            helper.make_node("Sub", ["image", "mean"], ["centered"]),
            helper.make_node("Mul", ["centered", "scale"], ["scaled"]),
        ]
        before = "scaled"
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "shape"], ["means"])
        if reshapes
        else helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weights", "bias"], ["embedding"]),
    ]
    size = "batch" if batch is None else batch
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [size, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [size, DIMENSIONS])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in names.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def write_unknown_onnx(path: Path) -> Path:
    """An ONNX file with an operation that nobody has."""
    import onnx
    from onnx import TensorProto, helper

    shapes = ([1, 3, SIZE, SIZE], [1, DIMENSIONS])
    given, found = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("image", "embedding"), shapes, strict=True)
    )
    node = helper.make_node("Nonsense", ["image"], ["embedding"], domain="nowhere")
    graph = helper.make_graph([node], "odd", [given], [found])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


def keras_network():
    """float32 [N, S, S, 3] -> [N, D]."""
    import keras

    inputs = keras.Input((SIZE, SIZE, 3), name="faces")
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    network = keras.Model(inputs, keras.layers.Dense(DIMENSIONS)(pooled))
    network.layers[-1].set_weights([WEIGHTS, BIAS])
    return network


def write_keras(path: Path) -> Path:
    """A Keras file."""
    keras_network().save(path)
    return path


def write_saved_model(path: Path) -> Path:
    """A SavedModel with the signatures `faces`, and `names`, which is for no images."""
    import tensorflow as tf

    module = tf.Module()
    module.weights, module.bias = tf.Variable(WEIGHTS), tf.Variable(BIAS)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="image")])
    def faces(image):
        vectors = tf.reduce_mean(image, [1, 2]) @ module.weights + module.bias
        return {"vectors": vectors, "maps": image}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="names")])
    def names(names):
        return {"lengths": tf.strings.length(names)}

    tf.saved_model.save(module, str(path), signatures={"faces": faces, "names": names})
    return path


def write_tflite(path: Path, batch: int | None = None) -> Path:
    """A TFLite file, whose batch is fixed if it is given."""
    import tensorflow as tf

    weights, bias = tf.constant(WEIGHTS), tf.constant(BIAS)

    @tf.function(input_signature=[tf.TensorSpec([batch, SIZE, SIZE, 3], tf.float32, name="image")])
    def faces(image):
        return tf.reduce_mean(image, [1, 2]) @ weights + bias

    converter = tf.lite.TFLiteConverter.from_concrete_functions([faces.get_concrete_function()])
    path.write_bytes(converter.convert())
    return path
