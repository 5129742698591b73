"""A recipe: everything that decides what a training run learns, apart from the dataset."""

import dataclasses

from facemill.model.recipes.choices import HEADS, NETWORKS, OPTIMIZERS, ORDERS
from facemill.transforms.core import fields
from facemill.transforms.core.fields import option


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained. Each field states what it means and its range."""

    network: str = option("mobilefacenet", choices=NETWORKS, help="network")
    head: str = option("arcface", choices=HEADS, help="head that the network is trained with")
    embedding_size: int = option(128, least=8, most=2048, help="length of an embedding")
    # The softmax head ignores it.
    margin: float = option(
        0.5, least=0, most=1.5, help="of arcface in radians, of cosface in cosine"
    )
    scale: float = option(32.0, least=1, most=256, help="of the cosines")
    epochs: int = option(20, least=1, most=10_000, help="passes over the train split")
    # The last pass over the train split may then be incomplete.
    steps: int | None = option(
        None, least=1, most=100_000_000, instead_of="epochs", help="steps of the optimizer"
    )
    batch_size: int = option(64, least=1, most=65_536, help="images per step, over all replicas")
    # 0: every image once in an epoch. With a number, batches of identities that come equally often.
    images_per_identity: int = option(
        0,
        least=0,
        most=1024,
        help="images of each identity in a batch, 0 for batches of any images",
    )
    # In the fast order images are taken as they are decoded, so no two runs are the same.
    order: str = option("deterministic", choices=ORDERS, help="order of the images")
    optimizer: str = option("sgd", choices=OPTIMIZERS, help="optimizer")
    learning_rate: float = option(0.1, least=1e-8, most=1e6, help="after the warm-up")
    # The learning rate rises from 0; a fraction of an epoch is allowed.
    warmup_epochs: float = option(
        1.0, least=0, most=1_000, help="over which the learning rate rises"
    )
    # Nesterov momentum.
    momentum: float = option(0.9, least=0, most=0.9999, help="of sgd")
    # Decoupled from the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101): each step takes this
    # share, times the learning rate, from every kernel.
    weight_decay: float = option(5e-3, least=0, most=1, help="decoupled, of kernels")
    clip_norm: float = option(
        5.0, least=0, most=1e6, help="largest global norm of the gradient, 0 for none"
    )
    flip: bool = option(True, help="mirror half of the training images")
    crop: float = option(
        0.1, least=0, most=0.5, help="largest share of a side that a random crop takes away"
    )
    # Each channel also changes on its own, by up to a quarter of it.
    color_jitter: float = option(
        0.2, least=0, most=1, help="largest relative change of brightness and contrast"
    )
    erase: float = option(0.0, least=0, most=1, help="probability that a rectangle is erased")
    rotate: float = option(0.0, least=0, most=180, help="largest rotation in degrees")
    hue: float = option(0.0, least=0, most=0.5, help="largest turn of the circle of hues")
    saturation: float = option(0.0, least=0, most=1, help="largest relative change of saturation")
    grayscale: float = option(0.0, least=0, most=1, help="probability that an image is made grey")
    blur: float = option(
        0.0, least=0, most=32, help="largest standard deviation of a Gaussian blur in pixels"
    )
    low_resolution: float = option(
        0.0, least=0, most=0.95, help="largest share of the resolution that is taken away"
    )
    jpeg_quality: int = option(
        100, least=1, most=100, help="lowest quality of a further JPEG compression, 100 for none"
    )
    # Cubuk et al. 2020, arXiv 1909.13719, whose N and M these are.
    rand_augment: int = option(
        0, least=0, most=8, help="operations of RandAugment on each image, 0 for none"
    )
    rand_augment_magnitude: float = option(
        5.0, least=0, most=10, help="of the operations of RandAugment"
    )
    flip_average: bool = option(False, help="embed each image and its mirror image")
    # An upper bound: a small val split gives fewer pairs.
    validation_pairs: int = option(
        1000, least=0, most=1_000_000, help="of each kind, from the val split"
    )
    seed: int = option(1, least=0, most=2**31 - 1, help="of weights, order and augmentation")

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: a value is out of its range.
        """
        fields.check(self)
