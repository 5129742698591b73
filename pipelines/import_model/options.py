"""Options of `facemill import-model`."""

import dataclasses

from facemill.model.runtimes.choices import COLORS, LAYOUTS
from facemill.model.runtimes.presets import PRESETS
from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option
from facemill.transforms.faces.choices import ALIGNMENTS, DETECTORS

SUMMARY = "make a model of a SavedModel, Keras, TFLite or ONNX file that others trained"
TAKES_BEAM_OPTIONS = False


def numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas; each may be a fraction, such as 1/128.

    Raises:
        UsageError: a part is no number.
    """
    found = []
    for part in text.split(","):
        above, _, below = part.partition("/")
        try:
            found.append(float(above) / float(below or 1))
        except (ValueError, ZeroDivisionError):
            raise UsageError(
                f"--mean and --scale must be numbers or fractions, got {part!r}; write 127.5, "
                "1/128, or three of them with commas between."
            ) from None
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class ImportOptions(CheckedOptions):
    """What one import is to do; None leaves a value to the preset or the file."""

    file: str = option(
        help="SavedModel folder, or .keras, TFLite or ONNX file; on a disk or an object store"
    )
    output: str = option(help="directory of the model, new or left by a killed run")
    preset: str | None = option(
        None,
        choices=tuple(PRESETS),
        help="size, color, mean, scale and alignment of a family of models; the flags below change "
        "single values",
    )
    input_size: int | None = option(
        None,
        least=8,
        most=1024,
        advice="give 112, say",
        help="side of the crop in pixels, where the file does not tell it",
    )
    layout: str | None = option(
        None, choices=LAYOUTS, help="order of the input's axes, where the file does not tell it"
    )
    color: str | None = option(None, choices=COLORS, help="order of the channels")
    mean: tuple[float, ...] | None = option(
        None,
        parse=numbers,
        metavar="X[,Y,Z]",
        help="what is subtracted from samples in [0, 255]: one number, or one for each channel in "
        "the order of --color",
    )
    scale: tuple[float, ...] | None = option(
        None,
        parse=numbers,
        metavar="X[,Y,Z]",
        help="what multiplies samples after that, such as 1/128",
    )
    signature: str | None = option(
        None, help="of a SavedModel that has several; by default serving_default"
    )
    output_name: str | None = option(
        None, help="the output that is the embedding, where the file has several of vectors"
    )
    normalize: bool | None = option(None, help="divide embeddings by their length (by default yes)")
    align: str | None = option(
        None,
        choices=ALIGNMENTS,
        help="how a photo becomes a crop: whole, its center, or by five points of the face",
    )
    detector: str = option(
        DETECTORS[0],
        choices=DETECTORS,
        help="of --align detect; each comes with an extra of its name, blazeface with detect",
    )
    crop_fraction: float = option(
        1.0,
        least=0.05,
        most=1,
        advice="1 keeps the whole square",
        help="share of the shorter side that --align center keeps, 0.05 to 1",
    )
    crop_raised: float = option(
        0.0,
        least=-0.5,
        most=0.5,
        advice="0 is the center",
        help="share of the shorter side by which --align center cuts above the center",
    )


OPTIONS = ImportOptions
