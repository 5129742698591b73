"""`facemill ingest`: photos in, dataset out.

list -> scan -> duplicates -> selection -> shards -> index
                    |             |           |
                    +-------------+-----------+--> one row per image
                                                   +--> statistics (tensorflow-transform)
"""

import dataclasses
import functools
import operator
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from pipelines import ingest_checks, ingest_report
from pipelines.engine import choose
from pipelines.ingest_rules import floor, result_options, selection
from pipelines.options.ingest import IngestOptions
from pipelines.progress import Progress
from transforms import artifact, receipts, statistics, storage
from transforms.artifact import Work
from transforms.duplicates.transform import FindDuplicates
from transforms.duplicates.verdicts import QUARANTINE, SetAside
from transforms.framing import Look
from transforms.index import TRAIN_TAG, WriteIndex
from transforms.listing import Chunk, ListImages
from transforms.outcomes import CONFLICT
from transforms.scan import ScanJob
from transforms.scanning import ScanImages
from transforms.selection import DECISION, SelectImages, Selection, normalizing_sums
from transforms.shards import RECEIPTS_TAG, WriteShards
from transforms.sources import registry
from transforms.splits import FOLDERS
from transforms.splits import QUARANTINE as QUARANTINE_FOLDER
from transforms.staging import STAGING, images_staged

KIND = "dataset"


@dataclasses.dataclass(frozen=True)
class IngestJob:
    """A run that is ready to be built.

    Attributes:
        options: checked values.
        scan: what is read, and how.
        rules: what stays.
        work: where it is written.
    """

    options: IngestOptions
    scan: ScanJob
    rules: Selection
    work: Work


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
    form = options.format or registry.guess(root)
    source = registry.build(form, root)
    # An input that is not there is refused before the output is touched.
    source.tasks()
    rules = selection(options)
    inputs = {"input": root}
    with artifact.begin(options.output, KIND, result_options(options, form), inputs=inputs) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to ingest again.")
            return
        staging = work.path(STAGING, "")
        columns = rules.columns
        scan = ScanJob(
            source=source,
            staging=os.path.abspath(staging),
            look=Look(options.image_size, options.align, options.crop_fraction),
            floor=floor(options),
            seed=options.seed,
            group_by=columns[0] if columns else None,
        )
        job = IngestJob(options, scan, rules, work)
        run_info = engine.run(
            functools.partial(build_graph, job=job),
            Progress("images read", functools.partial(images_staged, scan.staging)),
        )
        checked = ingest_checks.check(work, options)
        report = ingest_report.render(work, scan, checked, options)
        storage.write_atomically(work.path("report.html"), report.encode("utf-8"))
        _commit(job, checked, {**run_info, "workers": options.workers})
        _print_table(checked, options.output)


def build_graph(pipeline: beam.Pipeline, job: IngestJob) -> None:
    """The Beam graph of an ingest run; it reads like the drawing at the top of this module."""
    work, staging = job.work, job.scan.staging
    listed = pipeline | "ListImages" >> ListImages(job.scan.source)
    total = (
        listed
        | "Sizes" >> beam.Map(_chunk_size).with_output_types(int)
        | "Total" >> beam.CombineGlobally(sum)
    )
    scanned = listed | "ScanImages" >> ScanImages(job.scan, job.options.workers)
    aside = scanned | "FindDuplicates" >> FindDuplicates(
        staging, job.options.dedup, job.options.on_conflict, job.scan.seed, total
    )
    decisions = scanned | "SelectImages" >> SelectImages(aside, job.rules, total)
    written = _to_write(decisions, aside, job) | "WriteShards" >> WriteShards(
        staging, work.scratch, job.rules.weighted, _weight_scale(decisions)
    )
    index = scanned | "WriteIndex" >> WriteIndex(
        staging,
        os.path.join(work.scratch, "index"),
        aside,
        decisions,
        written.positions,
        total,
        job.scan.group_by,
    )
    _ = (
        index[TRAIN_TAG]
        | "TrainBatches" >> beam.FlatMap(statistics.batches).with_output_types(statistics.BATCH)
        | "Statistics"
        >> statistics.Analyze(
            output_dir=os.path.join(work.scratch, "transform"),
            temp_dir=os.path.join(work.scratch, "tft"),
        )
    )
    _ = total | "Listed" >> beam.Map(_listed) | receipts.WriteReceipts(work.path("listed.json"))
    _ = written[RECEIPTS_TAG] | "Shards" >> receipts.WriteReceipts(work.path("shards.json"))
    _ = index.receipts | "Index" >> receipts.WriteReceipts(work.path("index.json"))


def _to_write(
    decisions: beam.PCollection, aside: beam.PCollection, job: IngestJob
) -> beam.PCollection:
    if job.options.on_conflict != QUARANTINE:
        return decisions
    quarantined = aside | "Quarantine" >> beam.FlatMap(_quarantined).with_output_types(bytes)
    return (decisions, quarantined) | "WithQuarantine" >> beam.Flatten()


def _quarantined(aside: SetAside) -> list[bytes]:
    """A conflict as something to be written: into a folder of its own, which nobody trains on."""
    if aside.verdict.outcome != CONFLICT:
        return []
    row = np.zeros(1, DECISION)
    row["place"], row["order"], row["copies"], row["weight"] = aside.place, aside.order, 1, 1.0
    row["split"] = FOLDERS.index(QUARANTINE_FOLDER)
    return [row.tobytes()]


def _weight_scale(decisions: beam.PCollection) -> beam.PCollection:
    """One number: by which weights are multiplied, so that the mean over train records is 1."""
    return (
        decisions
        | "WeightSums" >> beam.Map(normalizing_sums).with_output_types(tuple[float, int])
        | "AllWeightSums" >> beam.CombineGlobally(_Sums()).with_output_types(float)
    )


class _Sums(beam.CombineFn):
    """Adds in the order of the values, so that the order of arrival does not show."""

    def create_accumulator(self) -> list[tuple[float, int]]:
        return []

    def add_input(
        self, accumulator: list[tuple[float, int]], sums: tuple[float, int]
    ) -> list[tuple[float, int]]:
        return [*accumulator, sums]

    def merge_accumulators(
        self, accumulators: Sequence[list[tuple[float, int]]]
    ) -> list[tuple[float, int]]:
        return functools.reduce(operator.iadd, accumulators, [])

    def extract_output(self, accumulator: list[tuple[float, int]]) -> float:
        weight = sum(part[0] for part in sorted(accumulator))
        count = sum(part[1] for part in accumulator)
        return count / weight if weight else 1.0


def _chunk_size(chunk: Chunk) -> int:
    return chunk.count


def _listed(count: int) -> dict[str, int]:
    return {"listed": count}


def _commit(job: IngestJob, checked: ingest_checks.Checked, run_info: dict[str, Any]) -> None:
    work = job.work
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
        "balance": checked.balance,
        "source": {"fingerprint": checked.source_fingerprint},
        "preprocessing": dataclasses.asdict(job.scan.look),
        "moments": dataclasses.asdict(moments),
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    names = [*FOLDERS, "index", "transform", "report.html"]
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
