"""Options of `facemill train`."""

import argparse
import dataclasses
import importlib
from typing import Any

from facemill.model.recipes.choices import HEADS, NETWORKS, OPTIMIZERS, RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import UsageError

SUMMARY = "train an embedding model on a dataset's train split and export it"
TAKES_BEAM_OPTIONS = False

# Flag, field of the recipe, type (or its choices), help.
_OVERRIDES: tuple[tuple[str, str, Any, str], ...] = (
    ("--backbone", "network", NETWORKS, "network"),
    ("--head", "head", HEADS, "head that the network is trained with"),
    ("--embedding-size", "embedding_size", int, "length of an embedding"),
    ("--margin", "margin", float, "of arcface in radians, of cosface in cosine"),
    ("--scale", "scale", float, "of the cosines"),
    ("--epochs", "epochs", int, "passes over the train split"),
    ("--steps", "steps", int, "steps of the optimizer, in place of --epochs"),
    ("--batch-size", "batch_size", int, "images per step, over all replicas"),
    ("--optimizer", "optimizer", OPTIMIZERS, "optimizer"),
    ("--learning-rate", "learning_rate", float, "after the warm-up"),
    ("--warmup-epochs", "warmup_epochs", float, "over which the learning rate rises"),
    ("--momentum", "momentum", float, "of sgd"),
    ("--weight-decay", "weight_decay", float, "decoupled, of kernels"),
    ("--clip-norm", "clip_norm", float, "largest global norm of the gradient, 0 for none"),
    ("--flip", "flip", bool, "mirror half of the training images"),
    ("--crop", "crop", float, "largest share of a side that a random crop takes away"),
    ("--color-jitter", "color_jitter", float, "largest relative change of brightness and contrast"),
    ("--erase", "erase", float, "probability that a rectangle is erased"),
    ("--flip-average", "flip_average", bool, "embed each image and its mirror image"),
    ("--validation-pairs", "validation_pairs", int, "of each kind, from the val split"),
    ("--seed", "seed", int, "of weights, order and augmentation"),
)

# Two ways to say how long; only one of them at a time.
_LENGTHS = ("epochs", "steps")


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What one training run is to do.

    Attributes:
        dataset: directory that `facemill ingest` wrote.
        output: directory of the model.
        recipe: how to train.
        cpu_replicas: logical CPU devices that share each batch. One is quickest on one machine:
            more are for trying what several GPUs would do. GPUs, where there are any, share each
            batch among all of them.
    """

    dataset: str
    output: str
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    cpu_replicas: int = 1

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        if not 1 <= self.cpu_replicas <= 64:
            raise UsageError(
                f"--cpu-replicas must be 1 to 64, got {self.cpu_replicas}; 1 is quickest."
            )
        if self.recipe.batch_size % self.cpu_replicas:
            raise UsageError(
                f"--batch-size must be a multiple of --cpu-replicas ({self.cpu_replicas}), got "
                f"{self.recipe.batch_size}; change one of them."
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    add = parser.add_argument
    add("--dataset", required=True, help="directory that `facemill ingest` wrote")
    add("--output", required=True, help="directory of the model, new or left by a killed run")
    add("--recipe", choices=RECIPES, default="default", help="values of the flags below")
    add(
        "--cpu-replicas",
        type=int,
        default=TrainOptions.cpu_replicas,
        help="logical CPU devices that share each batch where TensorFlow has no GPU",
    )
    length = parser.add_mutually_exclusive_group()
    for flag, field, kind, text in _OVERRIDES:
        (length if field in _LENGTHS else parser).add_argument(
            flag,
            dest=field,
            default=argparse.SUPPRESS,
            help=f"{text} (default: the recipe's)",
            **_how(kind),
        )


def _how(kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"choices": kind} if isinstance(kind, tuple) else {"type": kind}


def from_arguments(namespace: argparse.Namespace) -> TrainOptions:
    """The options of parsed flags.

    Raises:
        UsageError: a value is out of its range.
    """
    recipe: Recipe = importlib.import_module(f"facemill.model.recipes.{namespace.recipe}").RECIPE
    given = {
        field: getattr(namespace, field)
        for _, field, _, _ in _OVERRIDES
        if hasattr(namespace, field)
    }
    if "epochs" in given:
        given["steps"] = None
    return TrainOptions(
        dataset=namespace.dataset,
        output=namespace.output,
        recipe=dataclasses.replace(recipe, **given),
        cpu_replicas=namespace.cpu_replicas,
    )
