"""Options of `facemill score`."""

import dataclasses

from facemill.model.runtimes import choices as runtimes
from facemill.model.runtimes.formats import EXPORT_FORMATS
from facemill.pipelines.common.job_options import max_rejected_option, workers_option
from facemill.pipelines.common.partition_option import check_partition, partition_option
from facemill.pipelines.common.scratch import scratch_option
from facemill.pipelines.common.source_options import SourceOptions
from facemill.transforms.core.fields import option
from facemill.transforms.scoring.dtypes import DTYPES, FLOAT32
from facemill.transforms.scoring.view_choices import MOST_CROPS

SUMMARY = "compute embeddings of the images of a folder or dataset with a trained model"
TAKES_BEAM_OPTIONS = True

LARGEST, ALL = "largest", "all"
FACES = (LARGEST, ALL)


@dataclasses.dataclass(frozen=True)
class _Paths:
    input: str = option(help="images, or a dataset")
    model: str = option(help="directory that `facemill train` or `facemill import-model` wrote")
    output: str = option(help="directory of the embeddings, new or left by a killed run")


@dataclasses.dataclass(frozen=True)
class ScoreOptions(SourceOptions, _Paths):
    """What one scoring run is to do."""

    faces: str = option(
        LARGEST,
        choices=FACES,
        help="which faces of a photo have rows, with a model whose faces a detector aligns: the "
        "one that the photo shows most, or each, as IMAGE_ID#0, IMAGE_ID#1 and so on",
    )
    since: tuple[str, ...] = option(
        (),
        several=True,
        parse=tuple,
        metavar="EMBEDDINGS",
        help="earlier embeddings of the same model, the oldest first, or a directory of "
        "partitions, of which those before --partition are taken: only photos that are not in them "
        "with the same content are scored, and those that have gone are listed in removed/",
    )
    flip_average: bool = option(
        False,
        help="score each crop and its mirror image, and write the sum of both embeddings, of "
        "length 1; takes twice the time of the model",
    )
    average_crops: int = option(
        1,
        least=1,
        most=MOST_CROPS,
        advice="give 5",
        help="score so many squares of each crop, itself first, and write the sum of their "
        "embeddings, of length 1; takes that many times the time of the model",
    )
    partition: str | None = partition_option()
    dtype: str = option(
        FLOAT32,
        choices=DTYPES,
        help="of the numbers of an embedding; int8 with a scale for each row",
    )
    # About 32 is fastest on a CPU.
    batch_size: int = option(
        32,
        least=1,
        most=1024,
        advice="give 32",
        help="images that are given to the model together; a runtime may divide them into calls",
    )
    runtime: str = option(
        runtimes.AUTO,
        choices=(runtimes.AUTO, *runtimes.RUNTIMES),
        help="what runs the network; auto is the first for which the model has a file and that is "
        "installed here. Part of the result: the last bits of embeddings depend on it",
    )
    export_format: str | None = option(
        None,
        choices=EXPORT_FORMATS,
        help="which of the files is run that `facemill train --export` wrote, where the model has "
        "several; without it the first that the runtime can run. Part of the result",
    )
    scratch: str = scratch_option()
    workers: int = workers_option(
        "threads that decode, and then calls of a LiteRT or ONNX network at a time"
    )
    max_rejected: float = max_rejected_option("images without an embedding")

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        super().__post_init__()
        check_partition(self.partition)


OPTIONS = ScoreOptions
