"""What a training run takes beside its datasets: a teacher, first weights, validation sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facemill.model.data import validation_sets
from facemill.model.data.teacher_targets import TeacherTargets
from facemill.pipelines.train.datasets import Datasets
from facemill.pipelines.train.initial import Initial
from facemill.pipelines.train.options import TrainOptions
from facemill.pipelines.train.teacher import Teacher
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError


@dataclass(frozen=True)
class Beside:
    """What stands beside the datasets of a run.

    Attributes:
        sets: name and path of each further validation set.
        teacher: whose embeddings are learned, or None.
        initial: with whose weights the network begins, or None.
        freeze: patterns of the layers that keep these.
        keeps_head: whether the head begins with the centers of that model's.
    """

    sets: Mapping[str, str]
    teacher: Teacher | None
    initial: Initial | None
    freeze: tuple[str, ...]
    keeps_head: bool = False

    @property
    def target_size(self) -> int | None:
        """Length of the teacher's embeddings, or None without a teacher."""
        return None if self.teacher is None else self.teacher.embedding_size

    def targets(self, folder: str, given: Datasets) -> TeacherTargets | None:
        """The teacher's embeddings of the train split, kept in a folder of this disk."""
        return None if self.teacher is None else self.teacher.targets(folder, *given.opened[0])

    def options(self, with_sets: bool) -> dict[str, Any]:
        """What of it changes the result, for the manifest.

        Args:
            with_sets: whether the validation sets do.
        """
        found: dict[str, Any] = {}
        if self.teacher is not None:
            found["teacher"] = self.teacher.model_id
        if self.initial is not None:
            found |= {"init": self.initial.model_id, "freeze": list(self.freeze)}
            if self.keeps_head:
                found["init_head"] = True
        if with_sets:
            found["validate"] = {
                name: validation_sets.fingerprint(path) for name, path in self.sets.items()
            }
        return found

    def inputs(self, with_sets: bool) -> dict[str, str]:
        """Names of the inputs and their paths; see `options`."""
        found = {}
        if self.teacher is not None:
            found["teacher"] = self.teacher.path
        if self.initial is not None:
            found["init"] = self.initial.path
        if with_sets:
            found |= {f"validate[{name}]": path for name, path in self.sets.items()}
        return found

    def described(self) -> dict[str, Any]:
        """What the manifest says of the models."""
        models = {"teacher": self.teacher, "init": self.initial}
        return {name: {"model_id": one.model_id} for name, one in models.items() if one is not None}


def open_beside(options: TrainOptions, given: Datasets, of_several_workers: bool) -> Beside:
    """Reads the manifests of the models.

    Args:
        options: of the run.
        given: its datasets.
        of_several_workers: whether several processes train together.

    Raises:
        UsageError: a model does not fit the datasets or the network, or only the chief of several
            workers would have it.
    """
    for name in ("teacher", "init") if of_several_workers else ():
        value = getattr(options, name)
        if value is not None:
            raise UsageError(
                f"--{name} must go with a training of one process, got {value} with several "
                "workers; leave it out, or train on one machine."
            )
    teacher = None if options.teacher is None else Teacher(options.teacher, given.manifest)
    initial = None
    if options.init is not None:
        initial = Initial(
            options.init, options.freeze, options.init_head, options.recipe, given.manifest
        )
    sets = {name: storage.absolute(path, "validate") for name, path in options.validate}
    return Beside(sets, teacher, initial, options.freeze, options.init_head)
