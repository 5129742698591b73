"""A recipe: everything that decides what a training run learns, apart from the dataset."""

import dataclasses

from facemill.model.networks.limits import check_embedding_size, check_options
from facemill.model.recipes.choices import (
    CLASSIFIERS,
    HEADS,
    NEED_PAIRS,
    NETWORKS,
    OPTIMIZERS,
    ORDERS,
    PRECISIONS,
    SAMPLED,
    SCHEDULES,
    TAUGHT,
)
from facemill.model.recipes.margins import margin_of
from facemill.transforms.core import fields
from facemill.transforms.core.errors import ParameterError, UsageError
from facemill.transforms.core.fields import option


def epochs_of(text: str) -> tuple[float, ...]:
    """Epochs from a text such as `10,16.5`.

    Raises:
        UsageError: a part of it is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"`milestones` must be epochs such as 10,16, got {text!r}; give such a list."
        ) from None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained. Each field states what it means and its range."""

    network: str = option("mobilefacenet", choices=NETWORKS, help="network")
    head: str = option(
        "arcface", choices=(*HEADS, *TAUGHT), help="head that the network is trained with"
    )
    dropout: float | None = option(
        None, least=0, most=0.9, help="rate of dropout, where the network's own is not wanted"
    )
    squeeze_excitation: bool = option(False, help="IR-SE networks in place of IR-ResNets")
    embedding_size: int = option(128, least=8, most=2048, help="length of an embedding")
    # The default is that of `model.recipes.margins`; heads without a margin ignore it.
    margin: float | None = option(
        None,
        least=0,
        most=1.5,
        help="of the head: of arcface and subcenter in radians (0.5), of cosface in cosine (0.35), "
        "of adaface (0.4), m2 of combined (0.3), of triplet in squared distance (0.2)",
    )
    scale: float = option(32.0, least=1, most=256, help="of the cosines")
    margin_multiplier: float = option(
        1.0, least=1, most=4, help="m1 of combined, cos(m1 t + m2) - m3"
    )
    margin_cosine: float = option(0.2, least=0, most=1, help="m3 of combined")
    norm_concentration: float = option(
        0.333, above=0, most=10, help="h of adaface: how far an embedding's length moves its margin"
    )
    sub_centers: int = option(3, least=1, most=64, help="centers of each identity, of subcenter")
    label_smoothing: float = option(
        0.0, least=0, most=0.9, help="share of a label that all identities get alike"
    )
    # Each step draws others; its update touches only those that it has read.
    sample_identities: float = option(
        1.0,
        above=0,
        most=1,
        help="share of the identities that a step compares its images with, for very many",
    )
    # Of a teacher beside a head of identities; the heads `mse` and `cosine` learn from it alone.
    teacher_loss: str = option(
        "cosine", choices=TAUGHT, help="how far embeddings are from those of the teacher"
    )
    teacher_weight: float = option(
        0.0, least=0, most=1e6, help="of that loss, added to the loss of the head"
    )
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
    # The batch is divided into this many parts, whose gradients are added up before the step.
    accumulate: int = option(
        1, least=1, most=4_096, help="parts of a batch that are in memory one after the other"
    )
    # Without it each replica normalizes its own part of a batch.
    synchronized_normalization: bool = option(
        False, help="normalize by the statistics of the whole batch, over all replicas"
    )
    # Weights, head and loss stay in float32.
    precision: str = option(
        "float32", choices=PRECISIONS, help="in which the network computes while it is trained"
    )
    # The decay of all is decoupled, so adam and adamw are the same.
    optimizer: str = option("sgd", choices=OPTIMIZERS, help="optimizer")
    learning_rate: float = option(0.1, least=1e-8, most=1e6, help="after the warm-up")
    # The learning rate rises from 0; a fraction of an epoch is allowed.
    warmup_epochs: float = option(
        1.0, least=0, most=1_000, help="over which the learning rate rises"
    )
    schedule: str = option(
        "cosine", choices=SCHEDULES, help="of the learning rate after the warm-up"
    )
    # Fractions of an epoch are allowed.
    milestones: tuple[float, ...] = option(
        (),
        parse=epochs_of,
        metavar="EPOCH,...",
        help="epochs after which the schedule step lowers the rate",
    )
    step_factor: float = option(
        0.1, above=0, most=1, help="of the rate at each milestone of the schedule step"
    )
    power: float = option(2.0, above=0, most=10, help="of the schedule polynomial")
    # Nesterov momentum.
    momentum: float = option(0.9, least=0, most=0.9999, help="of sgd")
    # Decoupled from the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101): each step takes this
    # share, times the learning rate, from every kernel.
    weight_decay: float = option(5e-3, least=0, most=1, help="decoupled, of kernels")
    clip_norm: float = option(
        5.0, least=0, most=1e6, help="largest global norm of the gradient, 0 for none"
    )
    # Of 0.999 the average reaches over the last 1,000 steps or so.
    ema: float = option(
        0.0, least=0, most=0.999999, help="decay of the moving average of the weights, 0 for none"
    )
    # In epochs; the margin rises from 0.
    margin_warmup_epochs: float = option(
        0.0, least=0, most=1_000, help="over which the margin rises"
    )
    # In epochs; the scale rises from that of `model.heads.margin`.
    scale_warmup_epochs: float = option(0.0, least=0, most=1_000, help="over which the scale rises")
    early_stopping: int = option(
        0,
        least=0,
        most=10_000,
        help="epochs without a better validation after which training ends, 0 for never",
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
            UsageError: a value is out of its range, or two values do not go together.
        """
        fields.check(self, "`{}`".format)
        check_options(self.network, self.dropout, self.squeeze_excitation)
        check_embedding_size(self.network, self.embedding_size)
        self._check_schedule()
        self._check_head()

    def resolved(self) -> "Recipe":
        """The same recipe, with the margin that its head has where none was given."""
        return dataclasses.replace(self, margin=margin_of(self.head, self.margin))

    def _check_schedule(self) -> None:
        if self.schedule == "step" and not self.milestones:
            raise UsageError(
                "`milestones` must name one or more epochs for the schedule step, got none; give "
                "them, or another schedule."
            )
        if any(not 0 < epoch < float("inf") for epoch in self.milestones):
            raise UsageError(
                f"`milestones` must be epochs above 0, got "
                f"{','.join(map(str, self.milestones))}; give others."
            )
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"`batch_size` must be a multiple of `accumulate` ({self.accumulate}), got "
                f"{self.batch_size}; change one of them."
            )
        mines = self.head in NEED_PAIRS or self.sample_identities < 1
        if self.accumulate > 1 and mines:
            raise ParameterError(
                "accumulate",
                self.accumulate,
                must=f"be 1 with the head {self.head}, which compares the images of a whole batch"
                if self.sample_identities == 1
                else "be 1 where identities are sampled",
                do="leave it out",
            )

        if self.accumulate > 1 and self.synchronized_normalization:
            raise ParameterError(
                "accumulate",
                self.accumulate,
                must="be 1 with synchronized normalization, which needs the whole batch at once",
                do="leave one of them out",
            )

    def _check_head(self) -> None:
        if self.label_smoothing and self.head not in CLASSIFIERS:
            raise ParameterError(
                "label_smoothing",
                self.label_smoothing,
                must=f"be 0 with the head {self.head}, which does not classify",
                do="leave it out, or take another head",
            )
        if self.teacher_weight and self.head in TAUGHT:
            raise ParameterError(
                "teacher_weight",
                self.teacher_weight,
                must=f"be 0 with the head {self.head}, which learns from the teacher alone",
                do="leave it out, or take a head of identities",
            )
        if self.sample_identities == 1:
            return
        if self.head not in SAMPLED:
            raise ParameterError(
                "sample_identities",
                self.sample_identities,
                must=f"be 1 with the head {self.head}, which has no centers of identities",
                do="leave it out, or take a head with a margin",
            )
        if self.label_smoothing:
            raise ParameterError(
                "label_smoothing",
                self.label_smoothing,
                must="be 0 where identities are sampled",
                do="leave one of them out",
            )
