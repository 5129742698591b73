"""How the face models that people have want their input; imports nothing, for the command line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What a family of models shares.

    Attributes:
        size: side of the crop in pixels.
        color: order of the channels.
        mean: subtracted from samples in [0, 255].
        scale: multiplies what is left.
        align: one of ALIGNMENTS: how a photo becomes the crop.
    """

    size: int
    color: str
    mean: float
    scale: float
    align: str


PRESETS = {
    # python-package/insightface/model_zoo/arcface_onnx.py: input_mean and input_std 127.5 (0 and 1
    # where the network standardizes itself), swapRB, ArcFace's template.
    "insightface": Preset(112, "rgb", 127.5, 1 / 127.5, "detect"),
    # davidsandberg/facenet, fixed_image_standardization; crops with a margin, no template.
    "facenet": Preset(160, "rgb", 127.5, 1 / 128, "center"),
    # sirius-ai/MobileFaceNet_TF: (x - 127.5) / 128 on faces aligned to ArcFace's template.
    "mobilefacenet": Preset(112, "rgb", 127.5, 1 / 128, "detect"),
}
