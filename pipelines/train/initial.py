"""The model that a training run begins with."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes.spec import SAVED_MODEL
from facemill.model.training import fine_tuning, kept_head
from facemill.transforms import storage
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.manifest_parts import read_complete


class Initial:
    """A model artifact that facemill trained, with the network of a run.

    Args:
        path: of the model.
        freeze: patterns of the names of layers that stay as they are.
        keeps_head: whether the head begins with what that of the model holds of each identity.
        recipe: of the run.
        dataset: manifest of the dataset.

    Attributes:
        path: absolute path or URL of the model.
        model_id: of the model.

    Raises:
        UsageError: there is no complete model, or its network is another one.
    """

    def __init__(
        self,
        path: str,
        freeze: Sequence[str],
        keeps_head: bool,
        recipe: Recipe,
        dataset: Mapping[str, Any],
    ) -> None:
        self.path = storage.absolute(path, "init")
        self._manifest = read_complete(self.path, "model")
        self.model_id: str = self._manifest["model_id"]
        fine_tuning.check(path, self._manifest, recipe, dataset["options"]["image_size"])
        self._freeze = freeze
        self._keeps_head = keeps_head

    def start(self) -> fine_tuning.Start:
        """Its weights, from the SavedModel, which is checked by its SHA-256.

        Raises:
            RunError: the SavedModel is damaged or not that of the manifest.
            ParameterError: the head is to be kept, and the model has none beside it.
        """
        root = artifact.local_copy(self.path, self._manifest, SAVED_MODEL.file)
        folder = artifact.resolve(root, SAVED_MODEL.file)
        weights = fine_tuning.read_weights(folder, self._manifest)
        centers = None
        if self._keeps_head:
            centers = kept_head.read(storage.join(self.path, f"checkpoints/{kept_head.FILE}"))
        return fine_tuning.Start(weights, self._freeze, centers)
