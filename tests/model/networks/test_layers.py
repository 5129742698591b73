"""Our layers give what Keras's own give: results, gradients, statistics, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from facemill.model.networks.layers import BatchNormalization, PReLU, normalized
from facemill.model.runtimes import keras_file

# [N, H, W, C], far from zero mean and unit deviation.
SHAPE = (3, 4, 5, 6)
KERAS = {BatchNormalization: keras.layers.BatchNormalization, PReLU: keras.layers.PReLU}
ARGUMENTS = {
    BatchNormalization: {"momentum": 0.9, "epsilon": 1e-5},
    PReLU: {"shared_axes": [1, 2]},
}


def values(shape=SHAPE, dtype="float32", seed=0):
    numbers = np.random.default_rng(seed).normal(0.7, 2.0, shape)
    return tf.constant(numbers.astype(dtype))


def pair(kind, shape=SHAPE, **more):
    """Our layer and Keras's, with the same weights, none of which is its initial value."""
    layers = [cls(**ARGUMENTS[kind], **more) for cls in (kind, KERAS[kind])]
    for layer in layers:
        layer.build(shape)
    rng = np.random.default_rng(3)
    weights = [rng.uniform(0.1, 0.9, one.shape) for one in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def step(layer, inputs, training=True):
    """Outputs, and the gradients of a sum over them, as float64 by name."""
    weights = values(inputs.shape, seed=1)
    given = {} if type(layer) is keras.layers.PReLU else {"training": training}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, **given)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    trained = [one.value for one in layer.trainable_variables]
    found = {"outputs": outputs}
    gradients = tape.gradient(loss, [inputs, *trained])
    for name, gradient in zip(["inputs", "first", "second"], gradients, strict=False):
        found[name] = gradient
    for index, weight in enumerate(layer.get_weights()):
        found[f"weight {index}"] = weight
    return {name: np.asarray(tf.cast(value, tf.float64)) for name, value in found.items()}


def check_equal(layers, inputs, tolerance, training=True):
    ours, theirs = (step(layer, inputs, training) for layer in layers)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KERAS)
def test_results_gradients_and_moving_statistics_are_those_of_keras(kind, dtype, training):
    layers = pair(kind, dtype=dtype)
    check_equal(layers, values(dtype=dtype), 2e-5 if dtype == "float32" else 1e-12, training)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("kind", KERAS)
def test_mixed_precision_agrees_within_its_rounding(kind, policy):
    check_equal(pair(kind, dtype=policy), values(), 0.06 if "bfloat" in policy else 0.01)


@pytest.mark.parametrize("kind", KERAS)
def test_vectors_are_taken_too(kind):
    shape = (7, 6)
    arguments = {"shared_axes": None} if kind is PReLU else {}
    layers = [cls(**{**ARGUMENTS[kind], **arguments}) for cls in (kind, KERAS[kind])]
    check_equal(layers, values(shape), 1e-5)


def test_a_batch_of_one_pixel_has_variance_zero_as_in_keras():
    shape = (1, 1, 1, 6)
    check_equal(pair(BatchNormalization, shape), values(shape), 1e-5)


def test_a_frozen_layer_uses_and_keeps_its_moving_statistics():
    layers = pair(BatchNormalization)
    before = layers[0].get_weights()
    for layer in layers:
        layer.trainable = False
    check_equal(layers, values(), 1e-6)
    np.testing.assert_array_equal(before, layers[0].get_weights())


def test_synchronized_normalization_is_left_to_keras():
    ours, theirs = pair(BatchNormalization, synchronized=True)
    check_equal((ours, theirs), values(), 1e-6)


def test_the_derivative_of_prelu_at_zero_is_one():
    layer = PReLU(shared_axes=[1, 2])
    found = step(layer, tf.zeros((1, 1, 1, 2)))
    np.testing.assert_array_equal(found["outputs"], 0)
    np.testing.assert_array_equal(found["inputs"], values((1, 1, 1, 2), seed=1))


def test_negative_slopes_give_what_keras_gives():
    layers = pair(PReLU)
    for layer in layers:
        layer.set_weights([np.linspace(-0.5, 0.5, 6).reshape(1, 1, 6)])
    check_equal(layers, values(), 1e-6)


@pytest.fixture(scope="module")
def block():
    keras.utils.set_random_seed(5)
    inputs = keras.Input(SHAPE[1:])
    network = keras.Model(inputs, normalized(inputs))
    network.set_weights([one + 0.1 for one in network.get_weights()])
    return network


def test_a_keras_file_keeps_the_layers_and_their_results(block, tmp_path):
    path = str(tmp_path / "block.keras")
    block.save(path)
    for load in (keras.saving.load_model, keras_file.load):
        loaded = load(path)
        assert [type(one) for one in loaded.layers[1:]] == [BatchNormalization, PReLU]
        np.testing.assert_array_equal(loaded(values()), block(values()))


def test_names_and_checkpoints_are_those_of_keras_layers(block, tmp_path):
    keras.backend.clear_session()
    inputs = keras.Input(SHAPE[1:])
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(inputs)
    plain = keras.Model(inputs, keras.layers.PReLU(shared_axes=[1, 2])(x))
    keras.backend.clear_session()
    inputs = keras.Input(SHAPE[1:])
    ours = keras.Model(inputs, normalized(inputs))
    assert [one.path for one in plain.weights] == [one.path for one in ours.weights]
    plain.set_weights(block.get_weights())
    path = tf.train.Checkpoint(network=plain).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(network=ours).restore(path).assert_consumed()
    np.testing.assert_array_equal(ours(values()), block(values()))


def test_tflite_makes_one_operation_of_prelu(block):
    signature = [tf.TensorSpec([1, *SHAPE[1:]], tf.float32)]
    function = tf.function(lambda x: block(x, training=False), input_signature=signature)
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    content = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    operations = [one["op_name"] for one in interpreter._get_ops_details()]
    assert "PRELU" in operations
    assert not {"SELECT", "SELECT_V2", "RELU"} & set(operations)
