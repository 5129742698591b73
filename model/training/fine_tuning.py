"""Fine-tuning: a network that begins with the weights of a model, some of its layers frozen."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemill.model.export.embedder import Embedder
from facemill.model.heads.base import Head
from facemill.model.networks import registry
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import kept_head, layer_names
from facemill.model.training.kept_head import Centers
from facemill.transforms.core.errors import ParameterError, RunError

# What must be the same, so that the weights fit.
_NETWORK = {"network": "", "embedding_size": 0, "squeeze_excitation": False}
_SHOWN = 6


@dataclass(frozen=True)
class Start:
    """What a network begins with.

    Attributes:
        weights: of the network, in Keras's order.
        freeze: patterns of the names of layers that training leaves as they are.
        centers: of identities, which the head begins with, or None for a new head.
    """

    weights: Sequence[np.ndarray]
    freeze: Sequence[str] = ()
    centers: Centers | None = None


def check(path: str, model: Mapping[str, Any], recipe: Recipe, image_size: int) -> None:
    """Checks that a model has the network of a run.

    Args:
        path: of the model.
        model: its manifest.
        recipe: of the run.
        image_size: of its images, in pixels.

    Raises:
        ParameterError: it is no model that facemill trained, or its network is another one.
    """
    there = model.get("recipe")
    if not isinstance(there, dict):
        raise ParameterError(
            "init",
            path,
            must="be a model that facemill trained",
            but="it was imported, and its weights are those of another program",
            do="give another, or learn from it as `teacher`",
        )
    differing = [
        f"{name}: there {there.get(name, default)}, here {getattr(recipe, name)}"
        for name, default in _NETWORK.items()
        if there.get(name, default) != getattr(recipe, name)
    ]
    size = model["preprocessing"]["image_size"]
    if size != image_size:
        differing.append(f"side of the images in pixels: there {size}, here {image_size}")
    if differing:
        raise ParameterError(
            "init",
            path,
            must="have the network of this run",
            but=f"it differs ({'; '.join(differing)})",
            do="train with its settings, or give another model",
        )


def read_weights(saved_model: str, model: Mapping[str, Any]) -> list[np.ndarray]:
    """The weights of a model's network, in Keras's order.

    Args:
        saved_model: folder of the SavedModel, on a disk.
        model: its manifest.

    Raises:
        RunError: the folder does not hold the network of the manifest.
    """
    recipe = model["recipe"]
    network = registry.build(
        recipe["network"],
        model["preprocessing"]["image_size"],
        recipe["embedding_size"],
        recipe.get("dropout"),
        recipe.get("squeeze_excitation", False),
    )
    # By these names `model.export.saved_model.Exported` holds the network.
    embedder = tf.train.Checkpoint(network=network)
    try:
        reader = tf.train.Checkpoint(embedder=embedder)
        found = reader.read(f"{saved_model}/variables/variables")
        found.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise RunError(
            f"{saved_model} must hold the weights of a {recipe['network']}, but does not "
            f"({str(error).splitlines()[0][:200]}); give another model."
        ) from None
    return network.get_weights()


def begin(embedder: Embedder, head: Head, identities: Sequence[str], start: Start) -> None:
    """Sets the weights of a network, freezes layers, and sets the centers that are kept.

    A frozen layer's weights do not change, and its BatchNorm acts as in inference.

    Args:
        embedder: has the network.
        head: of the run.
        identities: of the train split, in the order of their labels.
        start: what to begin with.

    Raises:
        ParameterError: no layer has a name that fits a pattern, nothing is left to train, or the
            head has no such centers.
    """
    embedder.network.set_weights(start.weights)
    freeze(embedder.network, start.freeze)
    if not embedder.network.trainable_variables and not head.trainable_variables:
        raise ParameterError(
            "freeze",
            " ".join(start.freeze),
            must="leave a layer to train where the head has no weights",
            do="give fewer patterns",
        )
    if start.centers is not None:
        kept_head.carry(head, identities, start.centers)


def freeze(network: keras.Model, patterns: Sequence[str]) -> None:
    """Freezes the layers with weights whose names fit a pattern.

    Args:
        network: its layers are named as in the report of a run, such as `conv2d 3`.
        patterns: as the shell's, such as `conv2d *` or `*normalization*`; `_` stands for a blank.

    Raises:
        ParameterError: no layer fits a pattern.
    """
    layers = {layer.path: layer for layer in network.layers if layer.weights}
    names = layer_names.of_variables([f"{path}/weights" for path in layers])
    by_name = dict(zip((name.replace(" ", "_") for name in names), layers.values(), strict=True))
    for pattern in patterns:
        fitting = fnmatch.filter(by_name, pattern.replace(" ", "_"))
        if not fitting:
            shown = ", ".join(list(by_name)[:_SHOWN])
            raise ParameterError(
                "freeze",
                pattern,
                must="fit the name of a layer",
                but=f"none of the {len(by_name)} layers has such a name ({shown}, ...)",
                do="give another pattern",
            )
        for name in fitting:
            by_name[name].trainable = False
