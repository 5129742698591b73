"""`facemill score`: photos or a dataset in, embeddings out.

list -> chunk groups -> read -> model (RunInference) -> embeddings
                          |        |
                          +--------+-- failures -> errors, count of ignored files
"""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import TaggedOutput

from facemill.model.runtimes import registry as runtimes
from facemill.model.runtimes.formats import format_of
from facemill.model.runtimes.spec import inexact
from facemill.pipelines.common import input_files
from facemill.pipelines.common.lazy_import import import_quietly
from facemill.pipelines.common.partitions import output_of
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.common.runner import choose
from facemill.pipelines.common.scratch import is_here
from facemill.pipelines.score import checks
from facemill.pipelines.score.counts import counts_of
from facemill.pipelines.score.earlier import fingerprints, read_earlier
from facemill.pipelines.score.inputs import Input, check_faces, photos_of, read_input
from facemill.pipelines.score.options import ALL, ScoreOptions
from facemill.transforms import storage
from facemill.transforms.core import counters
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.merging import Merge
from facemill.transforms.dataset import artifact, write_results, writing
from facemill.transforms.dataset.done_marks import images_done, mark_done
from facemill.transforms.dataset.writing import Work
from facemill.transforms.faces.crop import CropConfig, check_detector
from facemill.transforms.scan.listing import ListedSizes, ListImages
from facemill.transforms.scan.repeated_ids import FindRepeated, listed_names
from facemill.transforms.scoring.known import Earlier, write_known
from facemill.transforms.scoring.listing import GroupChunks
from facemill.transforms.scoring.model import MODEL_TIME, Embed, ModelHandlerForBatches
from facemill.transforms.scoring.read import (
    FAILED_TAG,
    READ_TIME,
    Reader,
    ReadImages,
)
from facemill.transforms.scoring.removed import FindRemoved
from facemill.transforms.scoring.rows import Failure, Result, Scored
from facemill.transforms.scoring.views import averaging
from facemill.transforms.scoring.write import (
    WriteEmbeddings,
    WriteErrors,
    WriteRemoved,
    table,
)
from facemill.transforms.sources import registry

KIND = "embeddings"
_PROGRESS = "progress"
_KNOWN = "known.npy"
_ROWS = "rows"


def run(options: ScoreOptions, beam_args: Sequence[str]) -> None:
    """Makes the embeddings that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: the input, the model or the output cannot be used.
        RunError: the model is damaged, too many images have no embedding, or the runner failed.
    """
    runner = choose(
        beam_args,
        {
            "input": options.input,
            "root": options.root,
            "model": options.model,
            "since": options.since,
            "output": options.output,
        },
    )
    model = storage.absolute(options.model, "model")
    manifest = artifact.read_manifest(model, "model")
    crop_config = CropConfig.from_manifest(manifest["preprocessing"])
    check_detector(crop_config)
    spec = runtimes.choose(manifest, options.runtime, options.export_format)
    given = read_input(options, crop_config)
    output = output_of(options.output, options.partition)
    storage.check_apart(given.root, output)
    check_faces(options, crop_config, given)
    earlier = read_earlier(options, manifest)
    wanted = {
        "model_id": manifest["model_id"],
        "batch_size": options.batch_size,
        "runtime": spec.kind,
        "export_format": format_of(spec.file),
        "dtype": options.dtype,
        "faces": options.faces,
        "flip_average": options.flip_average,
        "average_crops": options.average_crops,
        "since": fingerprints(earlier),
        "dataset_fingerprint": given.fingerprint,
        "format": given.format,
        "image_column": options.image_column,
        "label_column": options.label_column,
        "key": options.key,
    }
    inputs = {"input": given.root, "model": model}
    inputs |= {f"since[{number}]": one.root for number, one in enumerate(earlier)}
    if given.format == registry.MANIFEST or options.root is not None:
        inputs["root"] = given.source.images_root
    here = is_here(options.scratch, runner.is_local)
    # The options have the id of the model and the fingerprints of a dataset and of embeddings.
    identified = ["model", *(name for name in inputs if name.startswith("since["))]
    if given.fingerprint is not None:
        identified.append("input")
    photos = [] if given.fingerprint else [photos_of(given)]
    with writing.begin(
        output,
        KIND,
        wanted,
        inputs=inputs,
        here=here,
        identified=identified,
        replaces=options.partition is not None,
    ) as work:
        if work is None:
            checks.refuse_changes(
                output, photos, do="score it into another `output`, or remove this one"
            )
            print(f"{options.output} is already complete; remove it to score again.")
            return
        listing = input_files.BackgroundListing(photos)
        artifact.local_copy(model, manifest)
        print(f"runtime: {spec.kind} ({spec.file})", file=sys.stderr)
        if difference := inexact(manifest, spec):
            print(
                f"warning: embeddings of {spec.file} differ from the network's by {difference}; "
                "compare them with others of this file alone",
                file=sys.stderr,
            )
        if runner.is_local:
            # A worker thread of this process would import it with TensorFlow's messages.
            import_quietly(runtimes.installed_module(spec.kind))
        known = work.path(_KNOWN) if earlier else None
        if known is not None:
            write_known(earlier, known)
        reader = Reader(given.source, crop_config, options.faces == ALL, known)
        build = functools.partial(
            build_graph,
            options=options,
            reader=reader,
            tasks=given.tasks,
            model=model,
            manifest=manifest,
            work=work,
            earlier=earlier,
        )
        run_info = runner.run(
            build, Progress("images scored", functools.partial(_scored, work)), work.output
        )
        checked = checks.check(
            work,
            options.max_rejected,
            promised=given.kept,
            all_faces=options.faces == ALL,
            since=bool(earlier),
        )
        run_info |= {"workers": options.workers, input_files.INPUT_FILES: listing.result()}
        run_info |= _speed(checked.counts["scored"], run_info)
        _commit(work, checked, manifest, given, run_info)
        print(output)
        for name, count in checked.counts.items():
            print(f"  {name:<10} {count:>12,}")
        for code, count in checked.errors.items():
            print(f"    {code:<22} {count:>12,}")
        share = run_info["model_share"]
        print(
            f"  {run_info['images_per_second']:,.0f} images/s"
            + ("" if share is None else f", {share:.0%} of the workers' time in the model")
        )


def build_graph(
    pipeline: beam.Pipeline,
    options: ScoreOptions,
    reader: Reader,
    tasks: Sequence[str],
    model: str,
    manifest: dict[str, Any],
    work: Work,
    earlier: Sequence[Earlier] = (),
) -> None:
    """The Beam graph of a scoring run; it reads like the drawing at the top of this module.

    Args:
        pipeline: to build it in.
        options: of the run.
        reader: of the images.
        tasks: parts of the listing, as the reader's source gave them.
        model: absolute path of the model artifact.
        manifest: of the model.
        work: the run, into whose scratch directory parts and receipts are written.
        earlier: embeddings whose photos are passed over, as the reader's `known` tells them.
    """
    start = pipeline | beam.Impulse()
    listed = start | "List" >> ListImages(reader.source, tasks)
    total = listed | "ListedSizes" >> ListedSizes()
    images = (
        listed
        | "ChunkGroups" >> GroupChunks(tasks, total, options.batch_size)
        | "ReadImages" >> ReadImages(reader, options.workers, options.batch_size)
    )
    spec = runtimes.choose(manifest, options.runtime, options.export_format)
    load: Callable[[str], Embed] = runtimes.loader(
        manifest, spec, options.batch_size, options.workers
    )
    load = averaging(load, options.average_crops, options.flip_average)
    handler = ModelHandlerForBatches(
        model,
        artifact.fingerprint(manifest),
        spec.file,
        load,
        options.batch_size,
        options.workers,
    )
    results = (
        images.batches
        | "Model" >> RunInference(handler)
        | "Results"
        >> beam.ParDo(_Divide(work.path(_PROGRESS))).with_outputs(FAILED_TAG, main="scored")
    )
    embeddings = results.scored | "WriteEmbeddings" >> WriteEmbeddings(
        work.files,
        work.folder(_ROWS),
        functools.partial(
            table,
            embedding_size=manifest["embedding_size"],
            model_id=manifest["model_id"],
            dtype=options.dtype,
        ),
        total,
    )
    failures = (images.failed, results.failed) | "Failures" >> Merge()
    receipts = {
        "parts.json": embeddings,
        "errors.json": failures | "WriteErrors" >> WriteErrors(work.files),
        checks.REPEATED: listed | "FindRepeated" >> FindRepeated(listed_names),
        **counts_of(listed, failures, images.counts),
    }
    if earlier and reader.known:
        removed = listed | "FindRemoved" >> FindRemoved(earlier, reader.known, total)
        receipts[checks.REMOVED] = removed | "WriteRemoved" >> WriteRemoved(work.files)
    zeros = {work.path(name): zero for name, zero in checks.ZEROS.items()}
    _ = {work.path(name): some for name, some in receipts.items()} | (
        "Receipts" >> write_results.WriteReceipts(zeros, start)
    )


class _Divide(beam.DoFn):
    """list[Result] -> list[Scored], and list[Failure] under the tag "failed"; counts both.

    Args:
        folder: in which progress is counted.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(
        self, results: list[Result]
    ) -> Iterator[list[Scored] | TaggedOutput[Literal["failed"], list[Failure]]]:
        # A bundle that is tried again has the same first image.
        key = f"{keyed_hash(0, 'done', results[0].image_id):016x}"
        mark_done(self._folder, key, len(results))
        scored = [one for one in results if isinstance(one, Scored)]
        counters.count("images_scored", len(scored))
        yield scored
        failures = [one for one in results if isinstance(one, Failure)]
        if failures:
            yield TaggedOutput(FAILED_TAG, failures)


def _speed(scored: int, run_info: dict[str, Any]) -> dict[str, Any]:
    """What `run.json` says of the speed of a run.

    Args:
        scored: images.
        run_info: what the runner says of the run.
    """
    spent = [run_info["counters"].get(name, 0) for name in (MODEL_TIME, READ_TIME)]
    return {
        "images_per_second": round(scored / max(run_info["seconds"], 1e-9), 1),
        "model_share": round(spent[0] / sum(spent), 3) if sum(spent) else None,
    }


def _scored(work: Work) -> int:
    """Images that have been through the model so far."""
    return images_done(work.path(_PROGRESS))


def _commit(
    work: Work,
    checked: checks.Checked,
    model: dict[str, Any],
    given: Input,
    run_info: dict[str, Any],
) -> None:
    manifest = {
        "counts": checked.counts,
        "errors": checked.errors,
        "model_id": model["model_id"],
        "embedding_size": model["embedding_size"],
        "source": {"fingerprint": given.fingerprint or checked.source_fingerprint},
        "guesses": [guess.to_manifest() for guess in given.guesses],
        "files": [entry | {"path": work.placed(entry["path"])} for entry in checked.files],
    }
    names = [entry["path"] for entry in checked.files]
    tops = sorted({name.split("/")[0] for name in names})
    work.commit(manifest, work.written(tops), run_info)
