"""Options of `facemill train`."""

import dataclasses
import importlib

from facemill.model.recipes.choices import IDENTITIES, MERGE, RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.pipelines.common.options import check
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

SUMMARY = "train an embedding model on a dataset's train split and export it"
TAKES_BEAM_OPTIONS = False


def recipe_of(name: str) -> Recipe:
    """The recipe of a name, one of RECIPES."""
    return importlib.import_module(f"facemill.model.recipes.{name}").RECIPE


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What one training run is to do."""

    dataset: tuple[str, ...] = option(
        several=True,
        parse=tuple,
        help="directory that `facemill ingest` wrote; several are trained on as one",
    )
    output: str = option(help="directory of the model, new or left by a killed run")
    restart: bool = option(
        False,
        help="train anew, without the checkpoints that an unfinished run left in --output; without "
        "it a run with other options is refused there",
    )
    identities: str = option(
        MERGE,
        choices=IDENTITIES,
        help="whether one name in several datasets is one identity, or one in each",
    )
    aliases: str | None = option(
        None,
        metavar="FILE",
        help="table with the columns dataset (its path as given, or its position from 1 on), "
        "identity and name: what identities of several datasets are called",
    )
    find_learning_rate: bool = option(
        False,
        help="train some steps at rising rates and write their curve and the rate to take to "
        "--output, in place of a model",
    )
    # One is fastest on one machine; more simulate several GPUs. Where TensorFlow has GPUs, all of
    # them share each batch.
    cpu_replicas: int = option(
        1,
        least=1,
        most=64,
        advice="1 is quickest",
        help="logical CPU devices that share each batch where TensorFlow has no GPU",
    )
    recipe: Recipe = option(
        written="default",
        choices=RECIPES,
        parse=recipe_of,
        inner_flags={"network": "backbone"},
        help="values of the flags below",
    )

    def __post_init__(self) -> None:
        """Checks each value; a recipe has checked its own.

        Raises:
            UsageError: names the flag and what was got.
        """
        check(self)
        if len(self.dataset) == 1 and (self.aliases is not None or self.identities != MERGE):
            name = "--identities" if self.aliases is None else "--aliases"
            raise UsageError(
                f"{name} must be given with several datasets, but --dataset names one; leave it "
                "out."
            )
        if self.recipe.batch_size % self.cpu_replicas:
            raise UsageError(
                f"--batch-size must be a multiple of --cpu-replicas ({self.cpu_replicas}), got "
                f"{self.recipe.batch_size}; change one of them."
            )


OPTIONS = TrainOptions
