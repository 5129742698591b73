"""The teacher of a training run: a model artifact whose embeddings the new model learns."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from facemill.model.data import teacher_targets
from facemill.model.data.teacher_targets import TeacherTargets
from facemill.model.runtimes import registry
from facemill.pipelines.common.progress import Progress
from facemill.transforms import storage
from facemill.transforms.core.cores import usable
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.manifest_parts import read_complete

_IN_CALL = 64


class Teacher:
    """A model artifact, of facemill or imported, that fits a dataset.

    Args:
        path: of the model.
        dataset: manifest of the dataset.

    Attributes:
        path: absolute path or URL of the model.
        model_id: of the model.
        embedding_size: length of its embeddings.

    Raises:
        UsageError: there is no complete model, or its crops show another region than the dataset's.
    """

    def __init__(self, path: str, dataset: Mapping[str, Any]) -> None:
        self.path = storage.absolute(path, "teacher")
        self._manifest = read_complete(self.path, "model")
        self.model_id: str = self._manifest["model_id"]
        self.embedding_size: int = self._manifest["embedding_size"]
        check_region(self.path, self._manifest["preprocessing"], dataset["preprocessing"])
        self._size: int = self._manifest["preprocessing"]["image_size"]

    def targets(self, folder: str, dataset: str, manifest: Mapping[str, Any]) -> TeacherTargets:
        """The teacher's embeddings, from the file of a run before where there is one.

        Args:
            folder: on this disk, which a later run gets again.
            dataset: path or URL of the dataset.
            manifest: its manifest.

        Raises:
            RunError: the teacher does not embed an image, or a file is damaged.
            UsageError: the teacher's runtime is not installed.
        """
        path = os.path.join(folder, teacher_targets.FILE)
        if not storage.is_file(path):
            self._write(path, dataset, manifest)
        return TeacherTargets(path)

    def _write(self, path: str, dataset: str, manifest: Mapping[str, Any]) -> None:
        size = manifest["preprocessing"]["image_size"]
        if size != self._size:
            print(
                f"the teacher takes images of {self._size} pixels: those of the dataset, of {size},"
                " are resized for it",
                file=sys.stderr,
            )
        spec = registry.choose(self._manifest)
        root = artifact.local_copy(self.path, self._manifest, spec.file)
        model = registry.load(
            *(spec, self.embedding_size, _IN_CALL, usable()),
            artifact.resolve(root, spec.file),
        )
        done = 0

        def count(images: int) -> None:
            nonlocal done
            done += images

        total = manifest["splits"]["train"]["records"]
        with Progress("images embedded by the teacher", lambda: done, lambda: total):
            teacher_targets.write(
                *(path, dataset, manifest, model, self._size, self.embedding_size),
                count,
            )


def check_region(path: str, teacher: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
    """Checks that both show the same region of a photo, whatever its number of pixels.

    Args:
        path: of the teacher.
        teacher: its preprocessing.
        dataset: that of the dataset.

    Raises:
        ParameterError: they differ; the sentence says in what.
    """
    names = sorted({*teacher, *dataset} - {"image_size"})
    differing = [name for name in names if teacher.get(name) != dataset.get(name)]
    if differing:
        said = "; ".join(
            f"{name}: teacher {teacher.get(name)!r}, dataset {dataset.get(name)!r}"
            for name in differing
        )
        raise ParameterError(
            "teacher",
            path,
            must="see the region of each photo that the dataset shows",
            but=f"its preprocessing differs ({said})",
            do="ingest as the teacher crops, or import the teacher with these",
        )
