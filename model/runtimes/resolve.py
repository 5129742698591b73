"""From what a file tells and what a person says to how a network is called."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from facemill.model.runtimes.base import Description, Tensor
from facemill.model.runtimes.choices import COLORS, LAYOUTS
from facemill.model.runtimes.presets import Preset
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.errors import ParameterError, UsageError
from facemill.transforms.faces.crop import CropConfig

_DTYPES = ("float32", "float16", "uint8", "int8")
_CHANNELS = 3


@dataclass(frozen=True)
class Wishes:
    """What a person says about a model; None leaves it to the preset or the file.

    Attributes:
        preset: of its family, or None.
        input_size: side of the crop in pixels.
        layout: one of LAYOUTS.
        color: one of COLORS.
        mean: one number, or one for each channel.
        scale: one number, or one for each channel.
        output_name: of the output that is the embedding.
        normalize: whether outputs are divided by their length.
        align: one of ALIGNMENTS.
        crop_fraction: of `CropConfig`.
        crop_raised: of `CropConfig`.
        detector: of `CropConfig`.
    """

    preset: Preset | None = None
    input_size: int | None = None
    layout: str | None = None
    color: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    output_name: str | None = None
    normalize: bool | None = None
    align: str | None = None
    crop_fraction: float = 1.0
    crop_raised: float = 0.0
    detector: str = CropConfig.detector


@dataclass(frozen=True)
class Resolved:
    """How a network is called.

    Attributes:
        spec: the entry for the manifest.
        crop_config: how photos become its crops.
        read: what was read from the file, as phrases.
        guessed: what was guessed, as phrases with the parameter that says otherwise.
    """

    spec: RuntimeSpec
    crop_config: CropConfig
    read: Sequence[str] = field(default_factory=list)
    guessed: Sequence[str] = field(default_factory=list)


def resolve(kind: str, file: str, description: Description, wishes: Wishes) -> Resolved:
    """How the network of a file is called.

    Args:
        kind: its runtime.
        file: relative to the artifact.
        description: what the file tells.
        wishes: what a person says.

    Raises:
        UsageError: file and person contradict each other, or neither says what must be known.
    """
    read: list[str] = []
    guessed: list[str] = []
    image, switches = _image(description.inputs)
    layout, size = _shape(image, wishes, read)
    output = _output(description.outputs, wishes, read)
    if image.dtype not in _DTYPES:
        raise UsageError(
            f"`file` must take images of the type {', '.join(_DTYPES)}, but its input "
            f"{image.name!r} is {image.dtype}; export the model with another input."
        )
    batch = image.shape[0] if image.shape else None
    read.append(
        f"batch: {'any' if batch is None else batch}, type {image.dtype}, output {output.name!r}"
    )
    read += [f"input {name!r}, which is true in training alone: false" for name in switches]
    mean, scale = _standardization(image, description, wishes, read, guessed)
    preset = wishes.preset
    color = wishes.color or (None if preset is None else preset.color)
    if color is None:
        color = COLORS[0]
        guessed.append(f"channels in the order {color} (`color`)")
    align = wishes.align or (None if preset is None else preset.align)
    if align is None:
        align = "center"
        guessed.append("crops from the center of photos, without a detector (`align`)")
    normalize = wishes.normalize
    if normalize is None:
        normalize = True
        guessed.append("outputs are divided by their length (`normalize`)")
    spec = RuntimeSpec(
        kind=kind,
        file=file,
        signature=description.signature,
        input=image.name,
        output=output.name,
        dtype=image.dtype,
        layout=layout,
        color=color,
        mean=mean,
        scale=scale,
        normalize=normalize,
        batch=batch,
        switches=switches,
    )
    crop_config = CropConfig(size, align, wishes.crop_fraction, wishes.detector, wishes.crop_raised)
    return Resolved(spec, crop_config, read, guessed)


def _image(inputs: Sequence[Tensor]) -> tuple[Tensor, tuple[str, ...]]:
    """The input of images, and the names of those that say whether this is training."""
    # Such as `phase_train` of FaceNet's graphs: one truth value, and nothing else can be meant.
    switches = tuple(one.name for one in inputs if one.dtype == "bool" and not one.shape)
    images = [one for one in inputs if one.name not in switches]
    if len(images) == 1 and (images[0].shape is None or len(images[0].shape) == 4):
        return images[0], switches
    raise UsageError(
        "`file` must have one input of four axes, for images, but it has "
        f"{_listed(inputs)}; export the model with that input alone."
    )


def _shape(image: Tensor, wishes: Wishes, read: list[str]) -> tuple[str, int]:
    """The layout, and the side of the image."""
    sizes = image.shape or (None,) * 4
    possible = [layout for layout in LAYOUTS if sizes[layout.index("c")] in (None, _CHANNELS)]
    if not possible:
        raise UsageError(
            f"`file` must take images of three channels, but its input {image.name!r} has the "
            f"shape {_written(sizes)}; give a model of color images."
        )
    # An axis that is free could be channels; one of three surely is.
    sure = [layout for layout in possible if sizes[layout.index("c")] == _CHANNELS]
    layout = wishes.layout
    if layout is None:
        if len(sure or possible) > 1:
            raise ParameterError(
                "layout",
                None,
                must=f"say which axis of the input {image.name!r} holds the channels",
                but=f"its shape is {_written(sizes)}",
                do=f"give {' or '.join(LAYOUTS)}",
            )
        (layout,) = sure or possible
        read.append(f"layout: {layout}")
    elif layout not in possible:
        raise ParameterError(
            "layout",
            layout,
            must=f"fit the input {image.name!r}",
            but=f"its shape is {_written(sizes)}, not {layout}",
            do=f"give {possible[0]}, or leave it out",
        )
    height, width = sizes[layout.index("h")], sizes[layout.index("w")]
    if None not in (height, width) and height != width:
        raise UsageError(
            f"`file` must take square images, but its input is {height} high and {width} wide; "
            "give a model of squares."
        )
    size = height or width
    if size is not None:
        if wishes.input_size not in (None, size):
            raise ParameterError(
                "input_size",
                wishes.input_size,
                must=f"be the {size} pixels that the file itself tells",
                do="leave it out",
            )
        read.append(f"input: {image.name!r}, {size} x {size} pixels")
        return layout, size
    size = wishes.input_size or (None if wishes.preset is None else wishes.preset.size)
    if size is None:
        raise ParameterError(
            "input_size",
            None,
            must="be given for a file that takes images of any size",
            but="it was not",
            do="give the side of the training crops in pixels, such as 112",
        )
    return layout, size


def _output(outputs: Sequence[Tensor], wishes: Wishes, read: list[str]) -> Tensor:
    if wishes.output_name is not None:
        for one in outputs:
            if one.name == wishes.output_name:
                return one
        raise ParameterError(
            "output_name",
            wishes.output_name,
            must="be an output of the file",
            but=f"it has {_listed(outputs)}",
            do="give one of these",
        )
    possible = [one for one in outputs if _is_vector(one)]
    if len(outputs) == 1 and possible:
        return outputs[0]
    if len(possible) == 1:
        read.append(f"embedding: {possible[0].name!r}, the only output of vectors")
        return possible[0]
    if not possible:
        raise UsageError(
            "`file` must give one vector for each image, but its outputs are "
            f"{_listed(outputs)}; give a model that ends with an embedding."
        )
    raise ParameterError(
        "output_name",
        None,
        must="say which output is the embedding",
        but=f"the file has {_listed(outputs)}",
        do="give one of these names",
    )


def _is_vector(output: Tensor) -> bool:
    """Whether an output can be an embedding: one axis of several numbers, or an unknown shape."""
    if output.shape is None:
        return True
    return len(output.shape) >= 2 and sum(size != 1 for size in output.shape[1:]) == 1


def _standardization(
    image: Tensor,
    description: Description,
    wishes: Wishes,
    read: list[str],
    guessed: list[str],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, scale = wishes.mean, wishes.scale
    if mean is None and scale is None and description.standardizes:
        read.append("mean and scale: the network standardizes its input itself")
        return _each(0.0), _each(1.0)
    if mean is None and wishes.preset is not None:
        mean = (wishes.preset.mean,)
    if scale is None and wishes.preset is not None:
        scale = (wishes.preset.scale,)
    if mean is None and scale is None and image.dtype == "uint8":
        guessed.append("samples from 0 to 255 as they are (`mean`, `scale`)")
        return _each(0.0), _each(1.0)
    for name, value in (("mean", mean), ("scale", scale)):
        if value is None:
            raise ParameterError(
                name,
                None,
                must="be given, since no file tells it",
                but="it was not",
                do="give the model's, such as mean 127.5 and scale 1/128, or a preset",
            )
        if len(value) not in (1, _CHANNELS) or not all(map(math.isfinite, value)):
            raise ParameterError(
                name,
                ",".join(map(str, value)),
                must="be one number, or three, one for each channel",
                do="give 127.5, say",
            )
    if scale is not None and 0 in scale:
        raise ParameterError("scale", 0, must="not be 0", do="give 1/128, say")
    return _each(*(mean or ())), _each(*(scale or ()))


def _each(*values: float) -> tuple[float, ...]:
    return values * _CHANNELS if len(values) == 1 else values


def _listed(tensors: Sequence[Tensor]) -> str:
    found = [f"{one.name!r} {_written(one.shape)}" for one in tensors]
    return ", ".join(found) or "none"


def _written(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "of any shape"
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"
