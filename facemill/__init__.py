"""facemill: distributed batch face recognition on Apache Beam and TensorFlow.

    import facemill

    dataset = facemill.load_dataset("dataset", split="val", batch_size=64)
    index = facemill.read_index("dataset")
    vectors = facemill.Model.load("model")(images)

`facemill.beam` holds the transforms for pipelines of your own. A name is imported when it is first
used, so `import facemill` alone loads neither Beam nor TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facemill import beam as beam
    from facemill.inference import Model as Model
    from facemill.model.data.load import load_dataset as load_dataset
    from facemill.transforms.core.errors import FacemillError as FacemillError
    from facemill.transforms.core.errors import RunError as RunError
    from facemill.transforms.core.errors import UsageError as UsageError
    from facemill.transforms.dataset.read_index import read_index as read_index

    __version__: str

# The module that defines each name.
_MODULES = {
    "FacemillError": "facemill.transforms.core.errors",
    "Model": "facemill.inference",
    "RunError": "facemill.transforms.core.errors",
    "UsageError": "facemill.transforms.core.errors",
    "load_dataset": "facemill.model.data.load",
    "read_index": "facemill.transforms.dataset.read_index",
}

__all__ = [
    "FacemillError",
    "Model",
    "RunError",
    "UsageError",
    "__version__",
    "beam",
    "load_dataset",
    "read_index",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        found: Any = metadata.version("facemill")
    elif name == "beam":
        return importlib.import_module("facemill.beam")
    elif name in _MODULES:
        found = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'facemill' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
