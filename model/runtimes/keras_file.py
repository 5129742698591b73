"""Loads Keras files (`.keras`) without running what they might hold beside a network."""

import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from facemill.transforms.core.errors import ParameterError

_CONFIG = "config.json"
# Layers of Keras's own that hold Python code or pickles, or read other files.
_FORBIDDEN = frozenset(
    (
        *("Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"),
        *("StringLookup", "IntegerLookup", "TextVectorization"),
    )
)
# What facemill's own networks have beside Keras's layers.
_OURS = "facemill.model.networks.layers"
_OUR_LAYERS = frozenset(("BatchNormalization", "PReLU"))


def load(path: str) -> Any:
    """The network of a Keras file.

    Only Keras's own layers, and facemill's two, are built. Lambda layers hold Python code, and
    layers of other packages would have to be imported; both are refused before Keras sees the file.

    Raises:
        ParameterError: the file is damaged, or holds such a layer.
    """
    for name, module in _layers(_config(path)):
        if name in _FORBIDDEN:
            raise _unusable(
                path,
                f"it has a {name} layer, which can run Python code or read other files",
                "replace that layer by Keras's own, or export the model as a SavedModel",
            )
        if module == _OURS and name in _OUR_LAYERS:
            continue
        if module is not None and module.split(".")[0] not in ("keras", "builtins"):
            raise _unusable(
                path,
                f"its layer {name} is of the package {module.split('.')[0]}",
                "export the model as a SavedModel",
            )
    import keras

    if keras.backend.backend() != "tensorflow":
        raise _unusable(path, "Keras runs on another backend here", "set KERAS_BACKEND=tensorflow")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras raises errors of many kinds for files that it cannot read.
    except Exception as error:  # noqa: BLE001
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = (lines or [type(error).__name__])[0][:200].rstrip(".")
        raise _unusable(
            path, f"Keras cannot load it ({text})", "export the model as a SavedModel"
        ) from None


def _config(path: str) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_CONFIG))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"it cannot be read ({error})", "save the model anew") from None


def _layers(config: Any) -> Iterator[tuple[str, str | None]]:
    """(class, module) of each object that a configuration names."""
    if isinstance(config, dict):
        name = config.get("class_name")
        if isinstance(name, str):
            module = config.get("module")
            if module is None and config.get("registered_name") not in (None, name):
                module = str(config["registered_name"]).split(">")[0]
            yield name, module if isinstance(module, str) else None
        for value in config.values():
            yield from _layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value)


def _unusable(path: str, but: str, do: str) -> ParameterError:
    return ParameterError(
        "file",
        os.path.basename(path),
        must="be a Keras file of Keras's own layers",
        but=but,
        do=do,
    )
