"""Options of `facemill train`."""

import dataclasses
import importlib

from facemill.model.recipes.choices import RECIPES
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

    dataset: str = option(help="directory that `facemill ingest` wrote")
    output: str = option(help="directory of the model, new or left by a killed run")
    restart: bool = option(
        False,
        help="train anew, without the checkpoints that an unfinished run left in --output; without "
        "it a run with other options is refused there",
    )
    find_learning_rate: bool = option(
        False,
        help="train some steps at rising rates and write their curve and the rate to take to "
        "--output, in place of a model",
    )
    dry_run: bool = option(
        False,
        help="say what would be trained and what memory it takes, and write nothing",
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
        if self.dry_run and self.find_learning_rate:
            raise UsageError(
                "--dry-run must stand without --find-learning-rate, got both; leave one of them "
                "out."
            )
        if self.recipe.batch_size % self.cpu_replicas:
            raise UsageError(
                f"--batch-size must be a multiple of --cpu-replicas ({self.cpu_replicas}), got "
                f"{self.recipe.batch_size}; change one of them."
            )


OPTIONS = TrainOptions
