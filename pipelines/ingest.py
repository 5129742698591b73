"""`facemill ingest`: photos in, dataset out.

list -> scan -> duplicates -> selection -> shards -> index
          |                      |           |
          +- rejected -----------+-----------+--> one row per image
                                             +--> statistics (tensorflow-transform)
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import ingest_checks, ingest_report
from pipelines.engine import choose
from pipelines.options.ingest import IngestOptions
from pipelines.progress import Progress
from transforms import artifact, receipts, statistics, storage
from transforms.artifact import Work
from transforms.duplicates.transform import FindDuplicates
from transforms.index import WriteIndex
from transforms.listing import ListImages, top_level
from transforms.names import read_identities
from transforms.rows import Photo
from transforms.scan import ScanImages
from transforms.selection import SelectImages, Selection
from transforms.shards import WriteShards
from transforms.splits import SPLITS
from transforms.staging import images_staged

KIND = "dataset"


def run(options: IngestOptions, beam_args: Sequence[str]) -> None:
    """Makes the dataset that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: the input, a list of identities, or the output cannot be used.
        RunError: too many images were rejected, none is left, or the engine failed.
    """
    engine = choose(beam_args)
    root = storage.absolute(options.input, "--input")
    names = top_level(root)
    rules = _rules(options)
    with artifact.begin(
        options.output, KIND, _result_options(options, rules), inputs={"input": root}
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to ingest again.")
            return
        staging = work.path("staging", "")
        build = functools.partial(
            build_graph, options=options, root=root, names=names, rules=rules, work=work
        )
        run_info = engine.run(
            build, Progress("images read", functools.partial(images_staged, staging))
        )
        checked = ingest_checks.check(work, options)
        report = ingest_report.render(work, root, checked.counts, options)
        storage.write_atomically(work.path("report.html"), report.encode("utf-8"))
        _commit(work, checked, {**run_info, "workers": options.workers})
        _print_table(checked, options.output)


def build_graph(
    pipeline: beam.Pipeline,
    options: IngestOptions,
    root: str,
    names: list[str],
    rules: Selection,
    work: Work,
) -> None:
    """The Beam graph of an ingest run; it reads like the drawing at the top of this module."""
    listed = pipeline | "ListImages" >> ListImages(root, names)
    total = (
        listed
        | "Sizes" >> beam.Map(len).with_output_types(int)
        | "Total" >> beam.CombineGlobally(sum)
    )
    scanned = (
        listed
        | "Spread" >> beam.Reshuffle()
        | "ScanImages"
        >> ScanImages(
            root,
            os.path.join(work.scratch, "staging"),
            options.image_size,
            options.crop_fraction,
            options.workers,
        )
    )
    verdicts = scanned.photos | "FindDuplicates" >> FindDuplicates(near=options.dedup == "near")
    selected = scanned.photos | "SelectImages" >> SelectImages(verdicts, rules)
    written = selected.kept | "WriteShards" >> WriteShards(work.scratch, options.seed)
    index = (
        (scanned.rejected, selected.set_aside, written.rows)
        | "AllRows" >> beam.Flatten()
        | "WriteIndex" >> WriteIndex(os.path.join(work.scratch, "index"), total)
    )
    _ = (
        selected.kept
        | "TrainBatches" >> beam.FlatMap(_train_batch).with_output_types(pa.RecordBatch)
        | "Statistics"
        >> statistics.Analyze(
            output_dir=os.path.join(work.scratch, "transform"),
            temp_dir=os.path.join(work.scratch, "tft"),
        )
    )
    _ = total | "Listed" >> beam.Map(_listed) | receipts.WriteReceipts(work.path("listed.json"))
    _ = written.receipts | "Shards" >> receipts.WriteReceipts(work.path("shards.json"))
    _ = index | "Index" >> receipts.WriteReceipts(work.path("index.json"))


def _rules(options: IngestOptions) -> Selection:
    include = exclude = None
    if options.include_identities:
        include = read_identities(options.include_identities, "--include-identities")
    if options.exclude_identities:
        exclude = read_identities(options.exclude_identities, "--exclude-identities")
    return Selection(
        min_images=options.min_images,
        max_images=options.max_images,
        fractions=options.split,
        seed=options.seed,
        include=include,
        exclude=exclude or frozenset(),
    )


def _result_options(options: IngestOptions, rules: Selection) -> dict[str, Any]:
    """The options that change the result; files of names are told by their content."""
    return {
        "format": options.format,
        "image_size": options.image_size,
        "crop_fraction": options.crop_fraction,
        "dedup": options.dedup,
        "min_images": options.min_images,
        "max_images": options.max_images,
        "split": dict(options.split),
        "seed": options.seed,
        "include_identities": None if rules.include is None else _names_digest(rules.include),
        "exclude_identities": _names_digest(rules.exclude) if rules.exclude else None,
    }


def _names_digest(names: frozenset[str]) -> dict[str, Any]:
    return {"count": len(names), "fingerprint": artifact.fingerprint({"names": sorted(names)})}


def _train_batch(photos: list[Photo]) -> list[pa.RecordBatch]:
    train = [photo for photo in photos if photo.row.split == "train"]
    if not train:
        return []
    return [
        statistics.batch(
            [photo.row.identity or "" for photo in train],
            [photo.channel_mean for photo in train],
            [photo.channel_square_mean for photo in train],
        )
    ]


def _listed(count: int) -> dict[str, int]:
    return {"listed": count}


def _commit(work: Work, checked: ingest_checks.Checked, run_info: dict[str, Any]) -> None:
    transform = os.path.join(work.scratch, "transform")
    moments = statistics.moments(transform)
    files = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in checked.files]
    files += [
        artifact.file_entry(work.scratch, f"transform/{name}")
        for name in statistics.stable_files(transform)
    ]
    files.append(artifact.file_entry(work.scratch, "report.html"))
    manifest = {
        "counts": checked.counts,
        "splits": checked.splits,
        "source": {"fingerprint": checked.source_fingerprint},
        "moments": dataclasses.asdict(moments),
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    names = [*SPLITS, "index", "transform", "report.html"]
    promote = [
        (path, name) for name in names if os.path.exists(path := os.path.join(work.scratch, name))
    ]
    work.commit(manifest, promote, run_info)


def _print_table(checked: ingest_checks.Checked, output: str) -> None:
    print(f"{output}")
    for name, count in checked.counts.items():
        print(f"  {name:<10} {count:>12,}")
    for name, split in checked.splits.items():
        print(
            f"  {name:<10} {split['records']:>12,} records of {split['identities']:,} identities "
            f"in {len(split['shards'])} shards"
        )
