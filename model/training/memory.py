"""What memory a run will take, estimated before anything large is built.

`docs/training.md` compares the estimate with the memory of real runs.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras

from facemill.model.data import tfdata
from facemill.model.heads import registry as heads
from facemill.model.recipes.choices import CLASSIFIERS
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import optimizers

_FLOAT = 4
# What TensorFlow takes beside the arrays: graphs, kernels of oneDNN, code that is loaded late.
_GRAPHS = 200_000_000
# Gradients of a layer's output and input, while its own gradient is computed.
_BACKWARD = 2
# Copies that a head holds at once, of its weights (normalized, and the gradients of that) and of
# its logits (cosines, mask, margin, softmax and their gradients), by `benchmarks/heads.py`.
_CENTER_COPIES, _LOGIT_COPIES = 3, 8
# Of the differences of all pairs of a batch, in the Siamese head.
_PAIR_COPIES = 4
# Batches on their way: decoded ones that wait, and those that are decoded and augmented.
_BATCHES = 7
# Layers whose output is a view of their input.
_VIEWS = (keras.layers.Flatten, keras.layers.Reshape)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Sizes of a head, in numbers.

    Attributes:
        trained: that training changes.
        all: with those that it does not.
    """

    trained: int
    all: int


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of a run on one machine, over all its replicas.

    Attributes:
        program: what the process has before, and the graphs that it will build.
        weights: of the network.
        head: its weights.
        optimizer: its slots, such as momentum.
        average: the second network of a moving average or of 16 bits, and the best weights.
        gradients: of network and head.
        activations: outputs of the layers that the backward pass needs, and its own.
        input: records that are shuffled, batches that wait, validation images.
    """

    program: int
    weights: int
    head: int
    optimizer: int
    average: int
    gradients: int
    activations: int
    input: int

    @property
    def total(self) -> int:
        """The sum."""
        return sum(dataclasses.astuple(self))

    @property
    def on_devices(self) -> int:
        """What lies on GPUs where there are any."""
        return self.total - self.program - self.input


def head_weights(recipe: Recipe, classes: int, target_size: int | None = None) -> Weights:
    """The weights of a head, without building it.

    The weights of every head are a constant and a number for each identity, which two small heads
    tell.

    Args:
        recipe: its head is used.
        classes: identities, 2 or more.
        target_size: length of a teacher's embeddings, or None without a teacher.
    """
    two, three = (_weights_of(recipe, count, target_size) for count in (2, 3))
    return Weights(
        two.trained + (classes - 2) * (three.trained - two.trained),
        two.all + (classes - 2) * (three.all - two.all),
    )


def slots(recipe: Recipe) -> int:
    """Values that the optimizer keeps for each weight, such as 1 for momentum."""
    weight = keras.Variable([0.0] * 5, name="kernel")
    built = optimizers.build(recipe, 0.1, [weight])
    return sum(math.prod(one.shape) == 5 for one in built.variables)


def activations(network: keras.Model) -> int:
    """Bytes that a training step holds for each image: the outputs of all layers.

    Of normalization and PReLU TensorFlow keeps other arrays than their outputs, of the same number
    and sizes.

    Args:
        network: with known shapes.
    """
    sizes = [_output_bytes(one) for one in network.layers if not isinstance(one, _VIEWS)]
    return sum(sizes) + _BACKWARD * max(sizes)


def estimate(
    recipe: Recipe,
    network: keras.Model,
    manifest: Mapping[str, Any],
    replicas: int,
    program: int,
    target_size: int | None = None,
) -> Memory:
    """The memory of a run at its highest.

    Args:
        recipe: of the run.
        network: its network.
        manifest: of the dataset.
        replicas: devices that share each batch.
        program: bytes that the process has so far.
        target_size: see `head_weights`.
    """
    head = head_weights(recipe, manifest["splits"]["train"]["identities"], target_size)
    weights = sum(math.prod(one.shape) for one in network.weights)
    trained = sum(math.prod(one.shape) for one in network.trainable_weights)
    second = recipe.ema > 0 or recipe.precision != "float32"
    # Images of all replicas that are in memory at once.
    batch = recipe.batch_size // recipe.accumulate
    # A sampled head has gradients of the drawn centers alone.
    gradients = trained + math.ceil(head.trained * recipe.sample_identities)
    sums = gradients if recipe.accumulate > 1 else 0
    return Memory(
        program=program + _GRAPHS,
        weights=_FLOAT * replicas * weights,
        head=_FLOAT * replicas * head.all,
        optimizer=_FLOAT * replicas * slots(recipe) * (trained + head.trained),
        average=_FLOAT * weights * (replicas * second + (recipe.early_stopping > 0)),
        gradients=_FLOAT * replicas * (gradients + sums),
        activations=batch * activations(network) + _of_head(recipe, head, batch, replicas),
        input=_input(recipe, manifest),
    )


def _weights_of(recipe: Recipe, classes: int, target_size: int | None) -> Weights:
    head = heads.build(recipe, classes, target_size)
    head.build((None, recipe.embedding_size))
    return Weights(
        sum(math.prod(one.shape) for one in head.trainable_variables),
        sum(math.prod(one.shape) for one in head.variables),
    )


def _output_bytes(layer: Any) -> int:
    size = keras.backend.standardize_dtype(layer.compute_dtype)
    return math.prod(layer.output.shape[1:]) * (2 if size in ("float16", "bfloat16") else _FLOAT)


def _of_head(recipe: Recipe, head: Weights, batch: int, replicas: int) -> int:
    """Bytes that the head computes with, beside weights and gradients."""
    if recipe.head in CLASSIFIERS:
        centers = math.ceil(head.trained * recipe.sample_identities)
        logits = batch * centers // recipe.embedding_size
        return _FLOAT * (_CENTER_COPIES * replicas * centers + _LOGIT_COPIES * logits)
    # Pairs of the global batch; those of the Siamese head have a difference of each component.
    width = _PAIR_COPIES * recipe.embedding_size if recipe.head == "siamese" else _LOGIT_COPIES
    return _FLOAT * width * recipe.batch_size**2


def _input(recipe: Recipe, manifest: Mapping[str, Any]) -> int:
    """Bytes of records and images before they reach a replica."""
    size = manifest["options"]["image_size"]
    pixels = 3 * size * size * _FLOAT
    record = record_bytes(manifest, "train")
    train = manifest["splits"]["train"]["records"]
    # Balanced batches look records up, and shuffle none.
    held = 0 if recipe.images_per_identity else min(train, tfdata.SHUFFLE_BUFFER)
    validated = min(manifest["splits"]["val"]["records"], 3 * recipe.validation_pairs)
    return int(held * record + _BATCHES * recipe.batch_size * pixels + validated * record)


def record_bytes(manifest: Mapping[str, Any], split: str) -> float:
    """The mean size of a record of a split, 0 for an empty one."""
    part = manifest["splits"][split]
    # What several datasets have together states the sum.
    listed = part.get("bytes")
    if listed is None:
        shards = set(part["shards"])
        listed = sum(entry["bytes"] for entry in manifest["files"] if entry["path"] in shards)
    return float(listed) / max(1, part["records"])
