"""The Beam graph of `facemill ingest`. Importing it loads TensorFlow."""

import dataclasses
import functools
import operator
import os
from collections.abc import Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.pipelines.ingest.checks import LISTED, PASSED_OVER, REPEATED
from facemill.pipelines.ingest.config import IngestJob
from facemill.pipelines.ingest.held_out import HELD_OUT_COUNTS, NAMED, OVERLAP
from facemill.pipelines.ingest.references import ReferenceSet
from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, origin_of, origin_of_chunk, row_of
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.image_metadata import ANALYZED
from facemill.transforms.dataset.outcomes import CONFLICT
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS
from facemill.transforms.dataset.split_names import QUARANTINE as QUARANTINE_FOLDER
from facemill.transforms.dataset.transform_names import TRANSFORM
from facemill.transforms.duplicates.choices import QUARANTINE
from facemill.transforms.duplicates.transform import FindDuplicates
from facemill.transforms.duplicates.verdicts import Exclusion
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import CountImages, ListImages, holds_images
from facemill.transforms.scan.repeated_ids import FindRepeated
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_metadata
from facemill.transforms.scan.transform import ScanImages
from facemill.transforms.selection.held_out import CountNamed, CountOverlap, CountUsable
from facemill.transforms.selection.selection import DECISION, SelectImages, normalizing_sums
from facemill.transforms.shards import statistics
from facemill.transforms.shards.index import TRAIN_TAG, WriteIndex
from facemill.transforms.shards.transform import RECEIPTS_TAG, WriteShards


def build_graph(pipeline: beam.Pipeline, job: IngestJob) -> None:
    """The Beam graph of an ingest run; it reads like the drawing in `pipelines.ingest.job`."""
    work, staging = job.work, job.scan.staging
    listed = pipeline | "ListImages" >> ListImages(job.scan.source, job.tasks, known=job.base_keys)
    filled = listed
    if job.base is not None:
        filled = listed | "Filled" >> beam.Filter(holds_images).with_output_types(Chunk)
    scanned = filled | "ScanImages" >> ScanImages(job.scan, job.options.workers)
    total = listed | "CountListed" >> CountImages()
    known = [_scan_reference(pipeline, job, one) for one in job.known]
    everything, size = scanned, total
    if known:
        chunks, looked = zip(*known, strict=True)
        everything = (scanned, *looked) | "WithKnown" >> beam.Flatten()
        size = (listed, *chunks) | "AllChunks" >> beam.Flatten() | "CountAll" >> CountImages()
    aside = everything | "FindDuplicates" >> FindDuplicates(
        staging,
        job.options.dedup,
        job.options.on_conflict,
        job.scan.seed,
        size,
        job.rules.chosen,
    )
    decisions = everything | "SelectImages" >> SelectImages(aside, job.rules, size)
    if job.base is not None:
        _tell_old(listed, aside, job)
        aside = aside | "OfTheInput" >> beam.Filter(_is_new).with_output_types(Exclusion)
    if any(one.origin == HELD_OUT for one in job.known):
        named = everything | "CountNamed" >> CountNamed(size)
        _ = named | "NamedCounts" >> write_results.WriteReceipts(work.path(NAMED))
    written = _to_write(decisions, aside, job) | "WriteShards" >> WriteShards(
        staging,
        work.scratch,
        job.rules.weighted,
        _weight_scale(decisions),
        job.version,
        job.options.workers,
    )
    index = scanned | "WriteIndex" >> WriteIndex(
        staging,
        os.path.join(work.scratch, "index"),
        aside,
        decisions,
        written.positions,
        total,
        job.scan.group_by,
        job.version,
    )
    train = [index[TRAIN_TAG]]
    if job.base is not None:
        train.append(everything | "OldTrain" >> beam.FlatMap(_old_train, staging))
    _ = (
        train
        | "Train" >> beam.Flatten()
        | "TrainBatches" >> beam.FlatMap(statistics.batches).with_output_types(statistics.BATCH)
        | "Statistics"
        >> statistics.Analyze(
            output_dir=os.path.join(work.scratch, TRANSFORM),
            temp_dir=os.path.join(work.scratch, "tft"),
        )
    )
    repeated = scanned | "FindRepeated" >> FindRepeated(staging, total)
    _ = repeated | "RepeatedKeys" >> write_results.WriteReceipts(work.path(REPEATED))
    _ = total | "Listed" >> beam.Map(_listed) | write_results.WriteReceipts(work.path(LISTED))
    _ = written[RECEIPTS_TAG] | "Shards" >> write_results.WriteReceipts(work.path("shards.json"))
    _ = index.receipts | "Index" >> write_results.WriteReceipts(work.path("index.json"))


def _tell_old(listed: beam.PCollection, aside: beam.PCollection, job: IngestJob) -> None:
    """What is told of the dataset that is added to: images passed over, records to hold apart."""
    passed_over = listed | "CountPassedOver" >> CountImages(passed_over=True)
    counts = passed_over | "PassedOverCount" >> beam.Map(_passed_over)
    _ = counts | "PassedOver" >> write_results.WriteReceipts(job.work.path(PASSED_OVER))
    if any(one.origin == HELD_OUT for one in job.known):
        overlap = aside | "CountOverlap" >> CountOverlap(job.scan.staging)
        _ = overlap | "Overlap" >> write_results.WriteReceipts(job.work.path(OVERLAP))


def _is_new(aside: Exclusion) -> bool:
    return origin_of(aside.row_id) == NEW


def _passed_over(count: int) -> dict[str, int]:
    return {"passed_over": count}


def _scan_reference(
    pipeline: beam.Pipeline, job: IngestJob, known: ReferenceSet
) -> tuple[beam.PCollection, beam.PCollection]:
    label = "Old" if known.origin == BASE else "HeldOut"
    chunks = pipeline | f"List{label}" >> ListImages(known.source, known.tasks, known.origin)
    # A dataset's records passed thresholds of quality once.
    scan = dataclasses.replace(
        job.scan, source=known.source, crop_config=known.crop_config, thresholds=QualityThresholds()
    )
    scanned = chunks | f"Scan{label}" >> ScanImages(scan, job.options.workers)
    if known.origin == HELD_OUT:
        counts = scanned | "CountUsable" >> CountUsable(scan.staging)
        path = job.work.path(HELD_OUT_COUNTS)
        _ = counts | "HeldOutCounts" >> write_results.WriteReceipts(path)
    return chunks, scanned


def _old_train(scanned: Scanned, staging: str) -> list[pa.Table]:
    """What the statistics need of the train images of the dataset that is added to."""
    train = scanned.usable[scanned.usable["split"] == SPLITS.index("train")]
    if origin_of_chunk(scanned.chunk) != BASE or not len(train):
        return []
    metadata = read_metadata(staging, scanned.chunk, ANALYZED)
    return [metadata.take([row_of(one) for one in train["row_id"]])]


def _to_write(
    decisions: beam.PCollection, aside: beam.PCollection, job: IngestJob
) -> beam.PCollection:
    if job.options.on_conflict != QUARANTINE:
        return decisions
    quarantined = aside | "Quarantine" >> beam.FlatMap(_quarantined).with_output_types(bytes)
    return (decisions, quarantined) | "WithQuarantine" >> beam.Flatten()


def _quarantined(aside: Exclusion) -> list[bytes]:
    """A conflict as something to be written: into a folder of its own, which nobody trains on."""
    if aside.verdict.outcome != CONFLICT:
        return []
    row = np.zeros(1, DECISION)
    row["row_id"], row["order"], row["copies"], row["weight"] = aside.row_id, aside.order, 1, 1.0
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
        accumulator.append(sums)
        return accumulator

    def merge_accumulators(
        self, accumulators: Sequence[list[tuple[float, int]]]
    ) -> list[tuple[float, int]]:
        return functools.reduce(operator.iadd, accumulators, [])

    def extract_output(self, accumulator: list[tuple[float, int]]) -> float:
        weight = sum(part[0] for part in sorted(accumulator))
        count = sum(part[1] for part in accumulator)
        return count / weight if weight else 1.0


def _listed(count: int) -> dict[str, int]:
    return {"listed": count}
