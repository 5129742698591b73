"""The model that a training run begins with."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes.spec import SAVED_MODEL
from facemill.model.training import fine_tuning
from facemill.transforms import storage
from facemill.transforms.dataset import artifact


class Initial:
    """A model artifact that facemill trained, with the network of a run.

    Args:
        path: of the model.
        freeze: patterns of the names of layers that stay as they are.
        recipe: of the run.
        dataset: manifest of the dataset.

    Attributes:
        path: absolute path or URL of the model.
        model_id: of the model.

    Raises:
        UsageError: there is no complete model, or its network is another one.
    """

    def __init__(
        self, path: str, freeze: Sequence[str], recipe: Recipe, dataset: Mapping[str, Any]
    ) -> None:
        self.path = storage.absolute(path, "init")
        self._manifest = artifact.read_manifest(self.path, "model")
        self.model_id: str = self._manifest["model_id"]
        fine_tuning.check(path, self._manifest, recipe, dataset["options"]["image_size"])
        self._freeze = freeze

    def start(self) -> fine_tuning.Start:
        """Its weights, from the SavedModel, which is checked by its SHA-256.

        Raises:
            RunError: the SavedModel is damaged or not that of the manifest.
        """
        root = artifact.local_copy(self.path, self._manifest, SAVED_MODEL.file)
        folder = artifact.resolve(root, SAVED_MODEL.file)
        return fine_tuning.Start(fine_tuning.read_weights(folder, self._manifest), self._freeze)
