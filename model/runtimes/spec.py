"""How the network of a model artifact is called: one entry of `runtimes` in its manifest."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from facemill.model.runtimes.choices import COLORS, LAYOUTS, TENSORFLOW
from facemill.model.runtimes.formats import TOLERANCE
from facemill.transforms.core.errors import RunError


@dataclasses.dataclass(frozen=True)
class RuntimeSpec:
    """How crops become the input of a network, and its output embeddings.

    Attributes:
        kind: one of RUNTIMES.
        file: the file or folder of the network, relative to the artifact.
        signature: of a SavedModel; None for other files.
        input: name of the input.
        output: name of the output.
        dtype: of the input: float32, float16, uint8 or int8.
        layout: `nhwc` [N, S, S, 3] or `nchw` [N, 3, S, S].
        color: order of the channels, `rgb` or `bgr`.
        mean: of each channel in that order; subtracted from samples in [0, 255].
        scale: of each channel; what is left is multiplied by it.
        normalize: whether outputs are divided by their length; otherwise the file does that.
        batch: images in each call if the file fixes it, or None.
        switches: further inputs, each one truth value, that are false outside of training.
    """

    kind: str
    file: str
    input: str
    output: str
    signature: str | None = None
    dtype: str = "float32"
    layout: str = LAYOUTS[0]
    color: str = COLORS[0]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    normalize: bool = True
    batch: int | None = None
    switches: tuple[str, ...] = ()

    def to_manifest(self) -> dict[str, Any]:
        """An entry of `runtimes`."""
        entry = {**dataclasses.asdict(self), "mean": list(self.mean), "scale": list(self.scale)}
        # Few files have any; entries without are those of versions that knew none.
        del entry["switches"]
        return entry | ({"switches": list(self.switches)} if self.switches else {})

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any]) -> "RuntimeSpec":
        """The spec that `to_manifest` wrote; further keys of the entry are passed over.

        Raises:
            RunError: the entry has not the keys that it must have.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            values = {key: value for key, value in entry.items() if key in names}
            for name in ("mean", "scale"):
                if name in values:
                    values[name] = tuple(map(float, values[name]))
            if "switches" in values:
                values["switches"] = tuple(map(str, values["switches"]))
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise RunError(
                "A model's manifest must say under runtimes how its network is called, got "
                f"{entry!r}; make the model again."
            ) from None


# The SavedModel that `train` writes; models of versions without `runtimes` have it alone.
SAVED_MODEL = RuntimeSpec(
    TENSORFLOW,
    "saved_model",
    input="pixels",
    output="embedding",
    signature="pixels",
    dtype="uint8",
    normalize=False,
)


def specs_of(manifest: Mapping[str, Any]) -> list[RuntimeSpec]:
    """The ways in which a model can be run, in the order of preference.

    Args:
        manifest: of the model.

    Raises:
        RunError: the manifest is damaged.
    """
    if "runtimes" not in manifest:
        return [SAVED_MODEL]
    found = [RuntimeSpec.from_manifest(entry) for entry in manifest["runtimes"]]
    if not found:
        raise RunError(
            "A model's manifest must name one runtime or more, got none; make the model again."
        )
    return found


def inexact(manifest: Mapping[str, Any], spec: RuntimeSpec) -> str:
    """How far the embeddings of a file are from the network's, "" where it is rounding or unknown.

    Args:
        manifest: of the model.
        spec: one of its files.
    """
    for entry in manifest.get("runtimes", ()):
        if entry["file"] == spec.file and "largest_difference" in entry:
            found = entry["largest_difference"]
            if found is None:
                return "more than any number"
            return f"up to {found:.1g}" if found > TOLERANCE else ""
    return ""
