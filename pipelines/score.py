"""`facemill score`: photos or a dataset in, embeddings out.

list -> read -> model (RunInference) -> embeddings
          |        |
          +--------+-- failures -> errors
"""

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference

from pipelines import score_checks
from pipelines.engine import choose
from pipelines.options.score import ScoreOptions
from pipelines.progress import Progress
from transforms import artifact, receipts, storage
from transforms.artifact import Work
from transforms.listing import top_level
from transforms.scoring.listing import ListFolder, ListRecords
from transforms.scoring.model import ModelHandlerForBatches, Result
from transforms.scoring.read import ReadImages
from transforms.scoring.rows import Failure, Scored
from transforms.scoring.write import WriteEmbeddings, WriteErrors

KIND = "embeddings"


@dataclass(frozen=True)
class Input:
    """What is to be scored.

    Attributes:
        root: absolute path of the folder or dataset.
        listing: the transform that lists it.
        fingerprint: of a dataset's manifest; None for a folder, whose files tell it later.
    """

    root: str
    listing: beam.PTransform
    fingerprint: str | None


def run(options: ScoreOptions, beam_args: Sequence[str]) -> None:
    """Makes the embeddings that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: the input, the model or the output cannot be used.
        RunError: the model is damaged, too many images have no embedding, or the engine failed.
    """
    engine = choose(beam_args)
    given = _input(storage.absolute(options.input, "--input"))
    model = storage.absolute(options.model, "--model")
    manifest = artifact.read_manifest(model, "model")
    wanted = {
        "model_id": manifest["model_id"],
        "batch_size": options.batch_size,
        "dataset_fingerprint": given.fingerprint,
    }
    inputs = {"input": given.root, "model": model}
    with artifact.begin(options.output, KIND, wanted, inputs=inputs) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to score again.")
            return
        artifact.verify_files(model, manifest)
        build = functools.partial(
            build_graph, options=options, given=given, model=model, manifest=manifest, work=work
        )
        run_info = engine.run(build, Progress("images scored", functools.partial(_scored, work)))
        checked = score_checks.check(work, options)
        _commit(work, checked, manifest, given, {**run_info, "workers": options.workers})
        rate = checked.counts["scored"] / max(run_info["seconds"], 1e-9)
        print(options.output)
        for name, count in checked.counts.items():
            print(f"  {name:<10} {count:>12,}")
        print(f"  {rate:,.0f} images/s")


def build_graph(
    pipeline: beam.Pipeline,
    options: ScoreOptions,
    given: Input,
    model: str,
    manifest: dict[str, Any],
    work: Work,
) -> None:
    """The Beam graph of a scoring run; it reads like the drawing at the top of this module."""
    listed = pipeline | "List" >> given.listing
    total = (
        listed
        | "Sizes" >> beam.Map(len).with_output_types(int)
        | "Total" >> beam.CombineGlobally(sum)
    )
    preprocessing = manifest["preprocessing"]
    images = listed | "ReadImages" >> ReadImages(
        given.root,
        preprocessing["image_size"],
        preprocessing["crop_fraction"],
        options.workers,
        total,
    )
    handler = ModelHandlerForBatches(model, manifest["model_id"], options.batch_size)
    results = images.batches | "Model" >> RunInference(handler)
    embeddings = (
        results
        | "Scored" >> beam.Map(_only_scored).with_output_types(list[Scored])
        | "WriteEmbeddings"
        >> WriteEmbeddings(work.scratch, manifest["embedding_size"], manifest["model_id"], total)
    )
    refused = results | "Refused" >> beam.Map(_only_failures).with_output_types(list[Failure])
    errors = (
        (images.failed, refused)
        | "Failures" >> beam.Flatten()
        | "WriteErrors" >> WriteErrors(work.scratch)
    )
    _ = total | "Listed" >> beam.Map(_listed) | receipts.WriteReceipts(work.path("listed.json"))
    _ = embeddings | "Parts" >> receipts.WriteReceipts(work.path("parts.json"))
    _ = errors | "Errors" >> receipts.WriteReceipts(work.path("errors.json"))


def _input(root: str) -> Input:
    names = top_level(root)
    if artifact.MANIFEST in names:
        manifest = artifact.read_manifest(root, "dataset")
        shards = [name for split in manifest["splits"].values() for name in split["shards"]]
        listing = ListRecords(root, sorted(shards))
        return Input(root, listing, artifact.fingerprint(manifest))
    return Input(root, ListFolder(root, names), None)


def _only_scored(results: Iterable[Result]) -> list[Scored]:
    return [one for one in results if isinstance(one, Scored)]


def _only_failures(results: Iterable[Result]) -> list[Failure]:
    return [one for one in results if isinstance(one, Failure)]


def _listed(count: int) -> dict[str, int]:
    return {"listed": count}


def _scored(work: Work) -> int:
    """Rows of the parts that are written so far."""
    return sum(1 for name in os.listdir(work.scratch) if name.endswith(".parquet"))


def _commit(
    work: Work,
    checked: score_checks.Checked,
    model: dict[str, Any],
    given: Input,
    run_info: dict[str, Any],
) -> None:
    manifest = {
        "counts": checked.counts,
        "model_id": model["model_id"],
        "embedding_size": model["embedding_size"],
        "source": {"fingerprint": given.fingerprint or checked.source_fingerprint},
        "files": checked.files,
    }
    names = [entry["path"] for entry in checked.files]
    tops = sorted({name.split("/")[0] for name in names})
    work.commit(manifest, [(os.path.join(work.scratch, name), name) for name in tops], run_info)
