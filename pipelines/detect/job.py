"""`facemill detect`: photos in, faces with boxes and landmarks out.

list -> chunk groups -> read and detect -> faces
                                |    |
                                |    +-- aligned faces -> crops, if wanted
                                +-- failures -> errors, count of ignored files
"""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from facemill.pipelines.common import guesses, input_files
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.common.runner import choose
from facemill.pipelines.common.scratch import is_here
from facemill.pipelines.detect.options import DetectOptions
from facemill.pipelines.score import checks
from facemill.pipelines.score.counts import counts_of
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError, naming
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact, write_results, writing
from facemill.transforms.dataset.done_marks import images_done, mark_done
from facemill.transforms.dataset.writing import Work
from facemill.transforms.faces.crop import CropConfig, check_detector
from facemill.transforms.scan.listing import ListedSizes, ListImages
from facemill.transforms.scan.repeated_ids import FindRepeated, listed_names
from facemill.transforms.scoring.crops import CROPS_KIND, WriteCrops
from facemill.transforms.scoring.listing import GroupChunks
from facemill.transforms.scoring.read import Batch, Reader, ReadImages
from facemill.transforms.scoring.rows import Scored
from facemill.transforms.scoring.write import (
    WriteEmbeddings,
    WriteErrors,
    faces_table,
)
from facemill.transforms.sources import registry

KIND = "faces"

_PROGRESS = "progress"
_CROPS = "crops.json"
_ROWS = "rows"
# Faces in a file of crops, at most; a detector finds them in batches of its own.
_BATCH = 256


def run(options: DetectOptions, beam_args: Sequence[str]) -> None:
    """Finds the faces that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: the input or an output cannot be used, or the detector is not installed.
        RunError: too many photos are unusable, or the runner failed.
    """
    runner = choose(
        beam_args,
        {
            "input": options.input,
            "root": options.root,
            "output": options.output,
            "crops": options.crops,
        },
    )
    crop_config = CropConfig(options.image_size, "detect", detector=options.detector)
    check_detector(crop_config)
    photos = _photos(options)
    guessed = guesses.report(photos.source.guesses(photos.tasks), photos.source.images_root, "used")
    wanted = {
        "preprocessing": crop_config.to_manifest(),
        "format": photos.source.format,
        "image_column": options.image_column,
        "label_column": options.label_column,
        "key": options.key,
    }
    inputs = {"input": photos.path}
    if photos.source.format == registry.MANIFEST or options.root is not None:
        inputs["root"] = photos.source.images_root
    for path in filter(None, (options.output, options.crops)):
        storage.check_apart(photos.path, storage.absolute(path, "output"))
    here = is_here(options.scratch, runner.is_local)
    begin = functools.partial(writing.begin, options=wanted, inputs=inputs, here=here)
    with contextlib.ExitStack() as opened:
        work = opened.enter_context(begin(options.output, KIND))
        crops = None
        if options.crops is not None:
            with naming({"output": "--crops"}):
                crops = opened.enter_context(begin(options.crops, CROPS_KIND))
        if work is None and (crops is None or options.crops is None):
            checks.refuse_changes(
                storage.absolute(options.output, "output"),
                [photos],
                do="write into another `output`, or remove this one",
            )
            print(f"{options.output} is already complete; remove it to detect again.")
            return
        if work is None or (crops is None and options.crops is not None):
            complete = options.output if work is None else options.crops
            raise UsageError(
                "--output and --crops must be written by one run, but "
                f"{complete} is complete and the other is not; remove it."
            )
        listing = input_files.BackgroundListing([photos])
        build = functools.partial(
            build_graph,
            options=options,
            reader=Reader(photos.source, crop_config, all_faces=True),
            tasks=photos.tasks,
            work=work,
            crops=crops,
        )
        run_info = runner.run(
            build, Progress("faces found", functools.partial(_found, work)), work.output
        )
        checked = checks.check(work, options.max_rejected, all_faces=True)
        run_info |= {"workers": options.workers, input_files.INPUT_FILES: listing.result()}
        manifest: dict[str, Any] = {
            "counts": _named(checked.counts),
            "errors": checked.errors,
            "preprocessing": crop_config.to_manifest(),
            "source": {"fingerprint": checked.source_fingerprint},
            "guesses": [guess.to_manifest() for guess in guessed],
        }
        if crops is not None:
            written = write_results.read(work.path(_CROPS))
            _commit(crops, manifest, [_entry(one) for one in written], run_info)
        _commit(work, manifest, checked.files, run_info)
        print(options.output)
        for name, count in manifest["counts"].items():
            print(f"  {name:<10} {count:>12,}")
        print(f"  {checked.counts['listed'] / max(run_info['seconds'], 1e-9):,.0f} photos/s")


def build_graph(
    pipeline: beam.Pipeline,
    options: DetectOptions,
    reader: Reader,
    tasks: Sequence[str],
    work: Work,
    crops: Work | None,
) -> None:
    """The Beam graph of a detection run; it reads like the drawing at the top of this module.

    Args:
        pipeline: to build it in.
        options: of the run.
        reader: of the photos.
        tasks: parts of the listing, as the reader's source gave them.
        work: the run, into whose scratch directory parts and receipts are written.
        crops: where aligned faces are written; None if they are not wanted.
    """
    start = pipeline | beam.Impulse()
    listed = start | "List" >> ListImages(reader.source, tasks)
    total = listed | "ListedSizes" >> ListedSizes()
    images = (
        listed
        | "ChunkGroups" >> GroupChunks(tasks, total, _BATCH)
        | "ReadImages" >> ReadImages(reader, options.workers, _BATCH)
    )
    found = images.batches | "Faces" >> beam.Map(_faces, work.path(_PROGRESS)).with_output_types(
        list[Scored]
    )
    rows = work.folder(_ROWS)
    receipts = {
        "parts.json": found | "WriteFaces" >> WriteEmbeddings(work.files, rows, faces_table, total),
        "errors.json": images.failed | "WriteErrors" >> WriteErrors(work.files),
        checks.REPEATED: listed | "FindRepeated" >> FindRepeated(listed_names),
        **counts_of(listed, images.failed, images.counts),
    }
    if crops is not None:
        receipts[_CROPS] = images.batches | "WriteCrops" >> WriteCrops(crops.files)
    zeros = {work.path(name): zero for name, zero in checks.ZEROS.items()}
    _ = {work.path(name): some for name, some in receipts.items()} | (
        "Receipts" >> write_results.WriteReceipts(zeros, start)
    )


def _photos(options: DetectOptions) -> input_files.Input:
    root = storage.absolute(options.input, "input")
    if artifact.has_manifest(root):
        raise UsageError(
            f"--input must be photos, but {options.input} is an artifact of facemill, whose images "
            "hold one face each; give photos."
        )
    form = options.format or registry.guess(root)
    source = options.source(form, root)
    return input_files.Input("input", source, source.tasks(), root)


def _faces(batch: Batch, folder: str) -> list[Scored]:
    """The rows of a batch; counts them."""
    key = f"{keyed_hash(0, 'done', batch.refs[0].image_id):016x}"
    mark_done(folder, key, len(batch.refs))
    return [
        Scored(ref.image_id, ref.path, ref.identity, image.measures, b"", image.sha256)
        for ref, image in zip(batch.refs, batch.images, strict=True)
    ]


def _found(work: Work) -> int:
    """Faces found so far."""
    return images_done(work.path(_PROGRESS))


def _named(counts: dict[str, int]) -> dict[str, int]:
    """The counts of `checks.check` in the words of this command."""
    return {"faces" if name == "scored" else name: count for name, count in counts.items()}


def _entry(receipt: dict[str, Any]) -> dict[str, Any]:
    return {key: receipt[key] for key in ("path", "bytes", "sha256")}


def _commit(
    work: Work, manifest: dict[str, Any], files: list[dict[str, Any]], run_info: dict[str, Any]
) -> None:
    ordered = sorted(files, key=lambda entry: entry["path"])
    tops = sorted({entry["path"].split("/")[0] for entry in files})
    work.commit({**manifest, "files": ordered}, work.written(tops), run_info)
