"""Layers that the networks share: Keras's normalization and PReLU, cheaper in a training step.

Both have the weights, names and results of Keras's own layers, so files and checkpoints of either
load into the other. They differ in the operations of a training step alone; otherwise, and
in all that is exported, Keras's own code runs.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_PACKAGE = "facemill"
# What the fused operations take, on CPUs and GPUs.
_FUSED = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(_PACKAGE)
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer, in training by TensorFlow's fused operation.

    That operation is taken for [N, H, W, C] of float32, bfloat16 or float16 whose last axis is
    normalized. All else is Keras's: other shapes and float64, frozen layers (which use the moving
    statistics) and inference.

    With `synchronized=True` several replicas take mean and variance over all of them, the
    variance in a second pass: Keras's E[x²] - E[x]² loses half of the digits of float32.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalized `inputs`, of their shape and the layer's compute dtype."""
        if not (training and self.trainable and mask is None and self._fusable(inputs)):
            return super().call(inputs, training=training, mask=mask)
        inputs = tf.convert_to_tensor(inputs)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation returns the variance of a sample, with n - 1; Keras keeps the one with n.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance = variance * ((count - 1.0) / count)
        kept = self.momentum
        self.moving_mean.assign(self.moving_mean * kept + mean * (1.0 - kept))
        self.moving_variance.assign(self.moving_variance * kept + variance * (1.0 - kept))
        return outputs

    def _fusable(self, inputs: Any) -> bool:
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            # Keras 3.12, the last for Python 3.10, has no such option.
            and not getattr(self, "renorm", False)
            and not self._is_shared()
            and keras.backend.standardize_dtype(inputs.dtype) in _FUSED
            and keras.backend.standardize_dtype(self.gamma.dtype) == "float32"
        )

    def _is_shared(self) -> bool:
        """Whether the statistics are those of several replicas."""
        context = tf.distribute.get_replica_context()
        return self.synchronized and context is not None and context.num_replicas_in_sync > 1

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance [C], of one replica or of all."""
        if mask is not None or not self._is_shared():
            return super()._moments(inputs, mask)
        context = tf.distribute.get_replica_context()
        axes = self._reduction_axes
        own = tf.size(inputs) // inputs.shape[self.axis]
        count = tf.cast(own * context.num_replicas_in_sync, inputs.dtype)

        def mean_over_replicas(values: tf.Tensor) -> tf.Tensor:
            return context.all_reduce("SUM", tf.reduce_sum(values, axes, keepdims=True)) / count

        mean = mean_over_replicas(inputs)
        variance = mean_over_replicas(tf.math.squared_difference(inputs, mean))
        return tf.squeeze(mean, axes), tf.squeeze(variance, axes)


@keras.saving.register_keras_serializable(_PACKAGE)
class PReLU(keras.layers.PReLU):
    """Keras's layer, in training with a gradient of fewer operations.

    The gradient of the slope is summed by a matrix product where slopes are shared over height and
    width, as in all networks here; other shapes take Keras's code. At 0 the derivative is 1, which
    is the slope from the right; Keras's is 0, which is the slope of neither side, and to have it
    too would take about a tenth more of this layer's time.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """`inputs` where they are above 0, else their product with the slope of the channel."""
        if not training or len(inputs.shape) != 4 or self.shared_axes != [1, 2]:
            # TFLite's converter knows this form and makes one operation of it.
            return super().call(inputs)
        return _prelu(tf.convert_to_tensor(inputs), tf.convert_to_tensor(self.alpha))


@tf.custom_gradient
def _prelu(inputs: tf.Tensor, slopes: tf.Tensor) -> Any:
    """PReLU of [N, H, W, C] with slopes [1, 1, C], and its gradient."""
    # The gradient needs no more of the inputs than this, so it is all that is kept.
    negative = tf.minimum(inputs, tf.zeros([], inputs.dtype))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outer = tf.where(negative < 0, upstream * slopes, upstream)
        rows = tf.reshape(negative * upstream, [-1, slopes.shape[-1]])
        # On a CPU a product with ones takes half the time of a sum over the rows. Half precision
        # is summed in float32.
        if rows.dtype in (tf.float16, tf.bfloat16):
            rows = tf.cast(rows, tf.float32)
        summed = tf.matmul(tf.ones([1, tf.shape(rows)[0]], rows.dtype), rows)
        return outer, tf.cast(tf.reshape(summed, slopes.shape), slopes.dtype)

    return tf.nn.relu(inputs) + slopes * negative, gradient


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int = 3,
    strides: int = 1,
    activation: bool = True,
) -> keras.KerasTensor:
    """Convolution, BatchNorm and, unless it is linear, PReLU with one slope per channel."""
    x = keras.layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    return normalized(x, activation)


def depthwise(
    x: keras.KerasTensor, kernel: int = 3, strides: int = 1, activation: bool = True
) -> keras.KerasTensor:
    """Depthwise convolution, BatchNorm and, unless it is linear, PReLU."""
    x = keras.layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False)(x)
    return normalized(x, activation)


def normalized(x: keras.KerasTensor, activation: bool = True) -> keras.KerasTensor:
    """BatchNorm and, unless it is linear, PReLU with one slope per channel."""
    x = BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return prelu(x) if activation else x


def prelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """PReLU with one slope per channel, 0.25 at first."""
    return PReLU(
        shared_axes=list(range(1, len(x.shape) - 1)) or None,
        alpha_initializer=keras.initializers.Constant(0.25),
    )(x)


def basic_stages(x: keras.KerasTensor, stages: Sequence[tuple[int, int]]) -> keras.KerasTensor:
    """Stages of basic blocks (He et al. 2016, arXiv 1512.03385) with PReLU.

    Args:
        x: [N, H, W, C].
        stages: channels and blocks of each; every stage halves the map first.
    """
    for channels, blocks in stages:
        x = convolution(x, channels, strides=2)
        for _ in range(blocks):
            y = convolution(x, channels)
            y = convolution(y, channels, activation=False)
            x = prelu(keras.layers.Add()([x, y]))
    return x


def squeeze_excitation(
    x: keras.KerasTensor, squeezed: int, gate: str = "sigmoid"
) -> keras.KerasTensor:
    """Channels weighted by a small network of their means (Hu et al. 2018, arXiv 1709.01507).

    Args:
        x: [N, H, W, C].
        squeezed: channels between the two 1x1 convolutions.
        gate: activation that gives the weights, such as sigmoid or hard_sigmoid.
    """
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = keras.layers.Conv2D(squeezed, 1, activation="relu")(weights)
    weights = keras.layers.Conv2D(x.shape[-1], 1, activation=gate)(weights)
    return keras.layers.Multiply()([x, weights])


def embedding_head(x: keras.KerasTensor, embedding_size: int, dropout: float) -> keras.KerasTensor:
    """BatchNorm, dropout, dense, BatchNorm: option E of ArcFace (arXiv 1801.07698, 3.1)."""
    x = normalized(x, activation=False)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(embedding_size)(x)
    return normalized(x, activation=False)


def plain_embedding_head(
    x: keras.KerasTensor, embedding_size: int, dropout: float
) -> keras.KerasTensor:
    """`embedding_head` without its first BatchNorm, without bias, and without dropout of 0."""
    x = keras.layers.Flatten()(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(embedding_size, use_bias=False)(x)
    return normalized(x, activation=False)


def synchronize(network: keras.Model) -> None:
    """Has all normalization of a network use the statistics of all replicas in training."""
    for layer in network._flatten_layers():
        if isinstance(layer, BatchNormalization):
            layer.synchronized = True
