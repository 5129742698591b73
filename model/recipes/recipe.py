"""A recipe: everything that decides what a training run learns, apart from the dataset."""

import dataclasses

from facemill.model.recipes.choices import HEADS, NETWORKS, OPTIMIZERS
from facemill.transforms.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        network: one of `model.recipes.choices.NETWORKS`.
        head: one of `model.recipes.choices.HEADS`.
        embedding_size: D, 8 to 2048.
        margin: of the head: radians for arcface, cosine for cosface, unused by softmax.
        scale: of the cosines.
        epochs: passes over the train split, unless `steps` is given.
        steps: of the optimizer, in place of `epochs`; the last pass may then be a part of one.
        batch_size: images per step, over all replicas.
        optimizer: one of `model.recipes.choices.OPTIMIZERS`.
        learning_rate: at the end of the warm-up.
        warmup_epochs: over which the learning rate rises from 0; may be a fraction.
        momentum: of sgd (Nesterov).
        weight_decay: decoupled from the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101):
            each step takes this share, times the learning rate, from every kernel.
        clip_norm: largest global norm of the gradient; 0 for no clipping.
        flip: whether a mirror image is drawn with probability 1/2.
        crop: largest share of each side that a random crop takes away.
        color_jitter: largest relative change of brightness and contrast; a quarter per channel.
        erase: probability that a rectangle is erased.
        flip_average: whether an exported embedding is that of the image and its mirror image.
        validation_pairs: of each kind, genuine and impostor, at most.
        seed: of weights, order and augmentation.
    """

    network: str = "mobilefacenet"
    head: str = "arcface"
    embedding_size: int = 128
    margin: float = 0.5
    scale: float = 32.0
    epochs: int = 20
    steps: int | None = None
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-3
    clip_norm: float = 5.0
    flip: bool = True
    crop: float = 0.1
    color_jitter: float = 0.2
    erase: float = 0.0
    flip_average: bool = False
    validation_pairs: int = 1000
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the value and its range.
        """
        for name, allowed in (
            ("network", NETWORKS),
            ("head", HEADS),
            ("optimizer", OPTIMIZERS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise UsageError(
                    f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}; "
                    "give one of them."
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(
                    f"{name.replace('_', ' ')} must be {low} to {high}, got {value}; give another."
                )


_RANGES = {
    "embedding_size": (8, 2048),
    "margin": (0, 1.5),
    "scale": (1, 256),
    "epochs": (1, 10_000),
    "steps": (1, 100_000_000),
    "batch_size": (1, 65_536),
    "learning_rate": (1e-8, 1e6),
    "warmup_epochs": (0, 1_000),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 1),
    "clip_norm": (0, 1e6),
    "crop": (0, 0.5),
    "color_jitter": (0, 1),
    "erase": (0, 1),
    "validation_pairs": (0, 1_000_000),
    "seed": (0, 2**31 - 1),
}
