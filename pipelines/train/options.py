"""Options of `facemill train`."""

import dataclasses
import importlib
import re
from collections.abc import Sequence

from facemill.model.recipes.choices import IDENTITIES, MERGE, RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes.formats import EXPORT_FORMATS, SAVED_MODEL, TFLITE
from facemill.model.training.cluster import Cluster
from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
# The name that the pairs of the val split have.
VAL = "val"

SUMMARY = "train an embedding model on a dataset's train split and export it"
TAKES_BEAM_OPTIONS = False


def recipe_of(name: str) -> Recipe:
    """The recipe of a name, one of RECIPES."""
    return importlib.import_module(f"facemill.model.recipes.{name}").RECIPE


def formats_of(names: Sequence[str]) -> tuple[str, ...]:
    """The formats of a list of names, each once and in their own order, and the SavedModel.

    Raises:
        UsageError: one is none of EXPORT_FORMATS.
    """
    for name in names:
        if name not in EXPORT_FORMATS:
            raise UsageError(
                f"--export must name formats of {', '.join(EXPORT_FORMATS)}, got {name!r}; give "
                "some of them."
            )
    return tuple(name for name in EXPORT_FORMATS if name in {*names, SAVED_MODEL})


def sets_of(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, path) of each validation set, from texts such as `lfw=bench/lfw.bin`.

    Raises:
        UsageError: a text has no such form, or two have one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not path or not _NAME.fullmatch(name) or name == VAL or name in found:
            raise UsageError(
                "--validate must be NAME=PATH, where NAME is of letters, digits, dots, - or _, is "
                f"not {VAL} and is given once, got {text!r}; give lfw=lfw.bin, say."
            )
        found[name] = path
    return tuple(found.items())


def hosts_of(text: str) -> tuple[str, ...]:
    """The hosts of a list such as `host1:2222,host2:2222`; `Cluster` checks them."""
    return tuple(part.strip() for part in text.split(","))


@dataclasses.dataclass(frozen=True)
class TrainOptions(CheckedOptions):
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
    teacher: str | None = option(
        None,
        help="model whose embeddings of the training images are learned, alone by the heads mse "
        "and cosine, beside others by --teacher-weight",
    )
    init: str | None = option(
        None,
        help="model that facemill trained, with whose weights the network begins; the head is new "
        "without --init-head",
    )
    init_head: bool = option(
        False,
        help="keep the centers that the head of --init has, by the names of the identities; those "
        "that are new begin as random ones",
    )
    freeze: tuple[str, ...] = option(
        (),
        several=True,
        metavar="PATTERN",
        parse=tuple,
        help="layers of --init whose weights stay as they are, by names of the report such as "
        "'conv2d_[1-9]'",
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
    validate: tuple[tuple[str, str], ...] = option(
        (),
        repeated=True,
        parse=sets_of,
        metavar="NAME=PATH",
        help="a further set of pairs by which each epoch is judged: insightface's file (lfw.bin, "
        "cfp_fp.bin, agedb_30.bin) or a dataset; nothing is chosen by it; may be given several "
        "times",
    )
    export: tuple[str, ...] = option(
        (TFLITE, SAVED_MODEL),
        several=True,
        parse=formats_of,
        metavar="FORMAT",
        help="formats in which the model is written beside the SavedModel, which it always has: "
        f"{', '.join(name for name in EXPORT_FORMATS if name != SAVED_MODEL)}; without it, "
        f"{TFLITE}",
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
        super().__post_init__()
        if len(self.dataset) == 1 and (self.aliases is not None or self.identities != MERGE):
            name = "--identities" if self.aliases is None else "--aliases"
            raise UsageError(
                f"{name} must be given with several datasets, but --dataset names one; leave it "
                "out."
            )
        if (self.worker_hosts is None) != (self.worker_index is None):
            given = "--worker-hosts" if self.worker_index is None else "--worker-index"
            raise UsageError(
                "--worker-hosts and --worker-index must be given together, got "
                f"{given} alone; give both."
            )
        # Checks the hosts.
        _ = self.cluster
        if self.init_head and self.init is None:
            raise UsageError(
                "--init-head must come with --init, whose head it keeps, got it alone; give both, "
                "or leave it out."
            )
        if self.freeze and self.init is None:
            raise UsageError(
                "--freeze must come with --init, whose layers it keeps, got "
                f"{' '.join(self.freeze)}; give both, or leave it out."
            )
        if self.teacher is not None and len(self.dataset) > 1:
            raise UsageError(
                f"--teacher must go with one dataset, got {len(self.dataset)}; ingest them into "
                "one by --append-to."
            )
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

    @property
    def cluster(self) -> Cluster | None:
        """The cluster of the flags, or None where they name none."""
        if self.worker_hosts is None or self.worker_index is None:
            return None
        return Cluster(self.worker_hosts, self.worker_index)


OPTIONS = TrainOptions
