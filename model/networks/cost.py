"""What a network costs: its weights, and the operations of one image."""

import dataclasses
import math
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Cost:
    """The size of a network.

    Attributes:
        parameters: weights that training changes.
        statistics: further weights, such as the moving statistics of BatchNorm.
        multiply_adds: multiplications, each with its addition, of convolutions and dense layers for
            one image. Papers give this number as MACs or, often, as FLOPs.
    """

    parameters: int
    statistics: int
    multiply_adds: int

    @property
    def flops(self) -> int:
        """Floating-point operations for one image, two for each multiply-add."""
        return 2 * self.multiply_adds

    def to_manifest(self) -> dict[str, int]:
        """The numbers by name."""
        return {**dataclasses.asdict(self), "flops": self.flops}

    def __str__(self) -> str:
        """Parameters and FLOPs as people write them."""
        return f"{self.parameters / 1e6:,.2f} M parameters, {self.flops / 1e6:,.0f} MFLOPs an image"


def of(network: keras.Model) -> Cost:
    """The cost of a network, counted layer by layer.

    Normalization, activations, pooling and additions are not counted, as is the custom: they are a
    few percent of the operations, though on a CPU up to half of the time of a training step.

    Args:
        network: of one input, with known shapes, of layers that are used once.
    """
    trained = sum(math.prod(one.shape) for one in network.trainable_weights)
    others = sum(math.prod(one.shape) for one in network.non_trainable_weights)
    return Cost(trained, others, sum(_multiply_adds(layer) for layer in network.layers))


def _multiply_adds(layer: Any) -> int:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        # Each output value is a sum over the kernel, in one channel.
        return math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size)
    if isinstance(layer, keras.layers.Conv2D):
        # Each kernel weight is used once at each position.
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return 0
