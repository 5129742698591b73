"""What `facemill score` reads and where it writes: the options as checked paths and sources."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.pipelines.common import guesses, input_files
from facemill.pipelines.common.flags import crop_flags, flag
from facemill.pipelines.common.source_options import SourceOptions
from facemill.pipelines.score.options import LARGEST, ScoreOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.outcomes import KEPT
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.scoring.crops import CROPS_KIND
from facemill.transforms.sources import registry
from facemill.transforms.sources.base import Source
from facemill.transforms.sources.crops import DetectedCrops
from facemill.transforms.sources.dataset import DatasetRecords, verify_dataset
from facemill.transforms.sources.guesses import Guess


@dataclass(frozen=True)
class Input:
    """The images or the dataset to score.

    Attributes:
        root: absolute path or URL of the images or the dataset.
        source: of the images.
        tasks: its parts.
        format: of the images; of a dataset `dataset`.
        fingerprint: of a dataset's manifest; None for images, which the fingerprint of their names
            identifies later.
        kept: how many images the manifest promises; None for images.
        guesses: what was guessed of the images.
    """

    root: str
    source: Source
    tasks: Sequence[str]
    format: str
    fingerprint: str | None
    kept: int | None
    guesses: Sequence[Guess] = ()


def read_input(options: ScoreOptions, crop_config: CropConfig) -> Input:
    """The images or the dataset to score; says what was guessed of it.

    Args:
        options: of the run.
        crop_config: of the model.

    Raises:
        UsageError: there is no such input, or it is a dataset that was framed in another way.
    """
    root = storage.absolute(options.input, "input")
    if not artifact.has_manifest(root):
        form = options.format or registry.guess(root)
        source = options.source(form, root)
        # An input that is not there is refused before the output is touched.
        tasks = source.tasks()
        guessed = guesses.report(source.guesses(tasks), source.images_root, "used")
        return Input(root, source, tasks, form, None, None, guessed)
    crops = artifact.kind_of(root) == CROPS_KIND
    what = CROPS_KIND if crops else "dataset"
    manifest = artifact.read_manifest(root, what)
    for field in dataclasses.fields(SourceOptions):
        if getattr(options, field.name) is not None:
            raise UsageError(
                f"{flag(field.name)} must go with images, got it with the {what} {root}; leave "
                "it out."
            )
    there = CropConfig.from_manifest(manifest["preprocessing"])
    if crops:
        return _read_crops(root, manifest, there, crop_config)
    if not there.same_region(crop_config):
        wanted, found = (crop_flags(one.to_manifest()) for one in (crop_config, there))
        raise UsageError(
            f"--input must be framed as --model was trained ({wanted}), but the dataset was made "
            f"with {found}; ingest it alike."
        )
    kept = manifest["counts"][KEPT]
    source = DatasetRecords(root, manifest)
    verify_dataset(root, manifest)
    fingerprint = artifact.fingerprint(manifest)
    return Input(root, source, source.tasks(), source.format, fingerprint, kept)


def _read_crops(
    root: str, manifest: Mapping[str, Any], there: CropConfig, crop_config: CropConfig
) -> Input:
    """The aligned faces that `facemill detect --crops` wrote."""
    # A model of whole images was trained on such crops, one of landmarks on the same template.
    fits = there.same_region(crop_config) or crop_config.align in ("none", "landmarks")
    if not fits or there.size != crop_config.size:
        wanted, found = (
            f"{crop_flags(one.to_manifest())} {flag('image_size')} {one.size}"
            for one in (crop_config, there)
        )
        raise UsageError(
            f"--input must hold crops that are framed as --model was trained ({wanted}), but they "
            f"were made with {found}; detect the faces alike, or score the photos."
        )
    if not storage.is_remote(root):
        artifact.verify_files(root, manifest)
    source = DetectedCrops(root)
    tasks = source.tasks() if manifest["files"] else []
    fingerprint = artifact.fingerprint(manifest)
    return Input(root, source, tasks, source.format, fingerprint, manifest["counts"]["faces"])


def check_faces(options: ScoreOptions, crop_config: CropConfig, given: Input) -> None:
    """Checks that rows for all faces can be made, where the options ask for them.

    Args:
        options: of the run.
        crop_config: of the model.
        given: the input.

    Raises:
        UsageError: no detector finds faces, or the input holds crops.
    """
    if options.faces == LARGEST:
        return
    if crop_config.align != "detect":
        raise UsageError(
            f"--faces all must go with a model whose faces a detector aligns, but --model was "
            f"trained with {crop_flags(crop_config.to_manifest())}; leave it out."
        )
    if given.fingerprint is not None:
        raise UsageError(
            f"--faces all must go with photos, got the {given.format} {given.root}, whose images "
            "hold one face each; leave it out."
        )


def photos_of(given: Input) -> input_files.Input:
    """The input as one whose files are looked at."""
    return input_files.Input("input", given.source, given.tasks, given.root)
