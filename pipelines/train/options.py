"""Options of `facemill train`."""

import dataclasses
import importlib

from facemill.model.recipes.choices import RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.cluster import Cluster
from facemill.pipelines.common.options import check
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

SUMMARY = "train an embedding model on a dataset's train split and export it"
TAKES_BEAM_OPTIONS = False


def recipe_of(name: str) -> Recipe:
    """The recipe of a name, one of RECIPES."""
    return importlib.import_module(f"facemill.model.recipes.{name}").RECIPE


def hosts_of(text: str) -> tuple[str, ...]:
    """The hosts of a list such as `host1:2222,host2:2222`; `Cluster` checks them."""
    return tuple(part.strip() for part in text.split(","))


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
    # One is fastest on one machine; more simulate several GPUs. Where TensorFlow has GPUs, all of
    # them share each batch.
    cpu_replicas: int = option(
        1,
        least=1,
        most=64,
        advice="1 is quickest",
        help="logical CPU devices that share each batch where TensorFlow has no GPU",
    )
    worker_hosts: tuple[str, ...] | None = option(
        None,
        parse=hosts_of,
        metavar="HOST:PORT,...",
        help="all processes that train together, the same on each, in place of TF_CONFIG; the "
        "first one writes --output",
    )
    worker_index: int | None = option(
        None, least=0, most=65_535, help="place of this process in --worker-hosts, from 0 on"
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
        if (self.worker_hosts is None) != (self.worker_index is None):
            given = "--worker-hosts" if self.worker_index is None else "--worker-index"
            raise UsageError(
                "--worker-hosts and --worker-index must be given together, got "
                f"{given} alone; give both."
            )
        # Checks the hosts.
        _ = self.cluster
        if self.recipe.batch_size % self.cpu_replicas:
            raise UsageError(
                f"--batch-size must be a multiple of --cpu-replicas ({self.cpu_replicas}), got "
                f"{self.recipe.batch_size}; change one of them."
            )

    @property
    def cluster(self) -> Cluster | None:
        """The cluster of the flags, or None where they name none."""
        if self.worker_hosts is None or self.worker_index is None:
            return None
        return Cluster(self.worker_hosts, self.worker_index)


OPTIONS = TrainOptions
