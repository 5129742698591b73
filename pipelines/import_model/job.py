"""`facemill import-model`: a network that others trained in, model out."""

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.model.runtimes import file_kind, registry, trial
from facemill.model.runtimes.choices import LITERT, ONNX, TENSORFLOW
from facemill.model.runtimes.presets import PRESETS
from facemill.model.runtimes.resolve import Resolved, Wishes, resolve
from facemill.pipelines.common.flags import with_flags
from facemill.pipelines.common.lazy_import import import_quietly
from facemill.pipelines.import_model.options import ImportOptions
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError, UsageError
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.faces.crop import check_detector, frame

KIND = "model"
_NETWORK = "network"
_SUFFIXES = {LITERT: ".tflite", ONNX: ".onnx", TENSORFLOW: ".keras"}
# Drawn people for the trial.
_PEOPLE = 6


@dataclass(frozen=True)
class Given:
    """The file or folder to import.

    Attributes:
        path: absolute path or URL.
        root: of the files below.
        entries: of its files: path relative to the root, bytes, SHA-256.
        here: the file or folder on a disk of this machine.
        is_folder: whether it is a folder.
    """

    path: str
    root: str
    entries: Sequence[dict[str, Any]]
    here: str
    is_folder: bool

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the names in a folder and of all contents."""
        found = [
            (os.path.relpath(one["path"], self.base) if self.is_folder else "", one["sha256"])
            for one in self.entries
        ]
        return hashlib.sha256(json.dumps(sorted(found)).encode("utf-8")).hexdigest()

    @property
    def base(self) -> str:
        """What is cut off the entries' paths: the name of the folder or file."""
        return os.path.basename(self.path)


def run(options: ImportOptions, beam_args: Sequence[str]) -> None:
    """Makes the model that the options ask for.

    Args:
        options: checked values.
        beam_args: none; importing is no Beam job.

    Raises:
        UsageError: the file, an option or the output cannot be used.
        RunError: the file changes while it is read.
    """
    del beam_args
    started = time.time()
    given = _given(options.file)
    storage.check_apart(given.path, storage.absolute(options.output, "output"), "file")
    chosen = {
        key: value
        for key, value in dataclasses.asdict(options).items()
        if key not in ("file", "output")
    }
    wanted = chosen | {"file_sha256": given.digest}
    kind = file_kind.kind_of(given.here, _names(given))
    if options.signature is not None and not given.is_folder:
        raise ParameterError(
            "signature",
            options.signature,
            must="go with a SavedModel, which alone has signatures",
            but=f"{given.path} is a file",
            do="leave it out",
        )
    import_quietly(registry.installed_module(kind))
    description = registry.describe(kind, given.here, options.signature)
    file = _NETWORK if given.is_folder else f"{_NETWORK}{_SUFFIXES[kind]}"
    resolved = resolve(kind, file, description, _wishes(options))
    check_detector(resolved.crop_config)
    resolved, findings = _try(resolved, given.here)
    with writing.begin(
        options.output, KIND, wanted, inputs={"file": given.path}, identified=["file"]
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to import again.")
            return
        files = _copy(given, file, work)
        preprocessing = resolved.crop_config.to_manifest()
        spec = resolved.spec.to_manifest()
        described = {"file_sha256": given.digest, "runtime": spec, "preprocessing": preprocessing}
        model_id = hashlib.sha256(json.dumps(described, sort_keys=True).encode("ascii")).hexdigest()
        manifest = {
            "counts": {"files": len(files)},
            "model_id": model_id,
            "embedding_size": findings.embedding_size,
            "preprocessing": preprocessing,
            "runtimes": [spec],
            "files": files,
        }
        run_info = {"trial": dataclasses.asdict(findings), "seconds": time.time() - started}
        work.commit(manifest, [(work.path(file), file)], run_info)
        _report(options.output, resolved, findings, model_id)


def _given(path: str) -> Given:
    """The file or folder, with a copy on this machine where it lies on a store.

    Raises:
        UsageError: it is not there.
    """
    root = storage.absolute(path, "file").rstrip("/")
    parent, name = root.rsplit("/", 1)
    is_folder = not storage.is_file(root)
    if not storage.exists(root):
        raise ParameterError(
            "file",
            path,
            must="be an existing file or SavedModel folder",
            but=f"{root} does not exist",
            do="check the path",
        )
    names = [f"{name}/{one}" for one in storage.walk_files(root)] if is_folder else [name]
    entries = [artifact.file_entry(parent or "/", one) for one in names]
    here = artifact.local_copy(parent or "/", {"files": entries})
    return Given(root, parent or "/", entries, os.path.join(here, name), is_folder)


def _names(given: Given) -> list[str]:
    """The files of a folder, relative to it; none of a file."""
    if not given.is_folder:
        return []
    return [one["path"].removeprefix(f"{given.base}/") for one in given.entries] or ["."]


def _wishes(options: ImportOptions) -> Wishes:
    return Wishes(
        preset=None if options.preset is None else PRESETS[options.preset],
        input_size=options.input_size,
        layout=options.layout,
        color=options.color,
        mean=options.mean,
        scale=options.scale,
        output_name=options.output_name,
        normalize=options.normalize,
        align=options.align,
        crop_fraction=options.crop_fraction,
        crop_raised=options.crop_raised,
        detector=options.detector,
    )


def _try(resolved: Resolved, path: str) -> tuple[Resolved, trial.Findings]:
    """Embeds drawn faces; returns how the network is called then, and what was found.

    Some files say that they take any number of images, but hold the number 1 in their middle.
    """
    size = resolved.crop_config.size
    crop_config = dataclasses.replace(resolved.crop_config, align="none")
    drawn = [render(0, person, 0, max(size, 64)) for person in range(_PEOPLE)]
    crops = [one.pixels for one in frame(crop_config, drawn, [None] * len(drawn))]  # type: ignore[union-attr]
    faces = np.stack(crops)
    try:
        return resolved, trial.run(registry.load(resolved.spec, None, _PEOPLE, 1, path), faces)
    except UsageError:
        if resolved.spec.batch is not None:
            raise
        single = dataclasses.replace(resolved.spec, batch=1)
        found = trial.run(registry.load(single, None, _PEOPLE, 1, path), faces)
    told = [*resolved.read, "batch: any, it says, but it fails on more than one image"]
    return dataclasses.replace(resolved, spec=single, read=told), found


def _copy(given: Given, file: str, work: writing.Work) -> list[dict[str, Any]]:
    """Copies the file or folder into the artifact; returns entries for the manifest.

    Raises:
        RunError: it changed since it was tried.
    """
    files = []
    for entry in given.entries:
        relative = file + entry["path"].removeprefix(given.base)
        if not given.is_folder:
            relative = file
        source = given.here + entry["path"].removeprefix(given.base)
        storage.write_atomically(work.path(*relative.split("/")), storage.read_bytes(source))
        copied = artifact.file_entry(work.scratch, relative)
        if copied["sha256"] != entry["sha256"]:
            raise RunError(
                f"--file must not change while it is imported, but {source} did; run the command "
                "again."
            )
        files.append(copied)
    return sorted(files, key=lambda entry: entry["path"])


def _report(output: str, resolved: Resolved, findings: trial.Findings, model_id: str) -> None:
    print(output)
    for text in resolved.read:
        print(f"  read from the file: {text}")
    for text in resolved.guessed:
        print(f"  guessed: {with_flags(text)}")
    for text in findings.sentences():
        print(f"  found: {text}")
    print(f"  model {model_id[:12]}")
    for text in findings.warnings():
        print(f"warning: {text}", file=sys.stderr)
