"""The Beam graph of `facemill ingest`."""

import dataclasses
import functools
import os

import apache_beam as beam
import numpy as np

from facemill.pipelines.ingest.checks import INDEX, LISTED, PASSED_OVER, REPEATED
from facemill.pipelines.ingest.config import IngestJob
from facemill.pipelines.ingest.held_out import HELD_OUT_COUNTS, NAMED, OVERLAP
from facemill.pipelines.ingest.references import ReferenceSet
from facemill.transforms.core.merging import Merge
from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, origin_of, row_of
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.image_metadata import ANALYZED
from facemill.transforms.dataset.outcomes import CONFLICT
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS
from facemill.transforms.dataset.split_names import QUARANTINE as QUARANTINE_FOLDER
from facemill.transforms.duplicates.choices import QUARANTINE
from facemill.transforms.duplicates.transform import FindDuplicates
from facemill.transforms.duplicates.verdicts import Exclusion
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import CountImages, ListImages, holds_images
from facemill.transforms.scan.repeated_ids import FindRepeated, scanned_names
from facemill.transforms.scan.scan_chunk import Scanned
from facemill.transforms.scan.staging import read_metadata
from facemill.transforms.scan.transform import ScanImages
from facemill.transforms.selection.decisions import DECISION, DecisionRows
from facemill.transforms.selection.held_out import CountNamed, CountOverlap, CountUsable
from facemill.transforms.selection.selection import SelectImages
from facemill.transforms.selection.weight_scale import WeightScale, normalizing_sums
from facemill.transforms.shards.analyzed_rows import ANALYZED_ROWS, write_rows
from facemill.transforms.shards.index import WriteIndex
from facemill.transforms.shards.transform import RECEIPTS_TAG, WriteShards


def build_graph(pipeline: beam.Pipeline, job: IngestJob) -> None:
    """The Beam graph of an ingest run; it reads like the drawing in `pipelines.ingest.job`."""
    work, staging = job.work, job.scan.staging
    start = pipeline | beam.Impulse()
    listed = start | "ListImages" >> ListImages(job.scan.source, job.tasks, base_keys=job.base_keys)
    filled = listed
    if job.base is not None:
        filled = listed | "Filled" >> beam.Filter(holds_images).with_output_types(Chunk)
    scanned = filled | "ScanImages" >> ScanImages(job.scan, job.options.workers)
    total = listed | "CountListed" >> CountImages()
    receipts: dict[str, beam.PCollection] = {}
    references = [_scan_reference(start, job, one, receipts) for one in job.reference_sets]
    everything, size = scanned, total
    if references:
        chunks, scanned_references = zip(*references, strict=True)
        everything = (scanned, *scanned_references) | "WithReferences" >> Merge()
        size = (listed, *chunks) | "AllChunks" >> Merge() | "CountAll" >> CountImages()
    exclusions = everything | "FindDuplicates" >> FindDuplicates(
        staging,
        job.options.dedup,
        job.options.on_conflict,
        job.scan.seed,
        size,
        job.rules.identity_filter,
        job.options.copy_difference,
    )
    decisions = everything | "SelectImages" >> SelectImages(exclusions, job.rules, size)
    if job.base is not None:
        receipts |= _count_of_base(listed, exclusions, job)
        exclusions = exclusions | "OfTheInput" >> beam.Filter(_is_new).with_output_types(Exclusion)
    if any(one.origin == HELD_OUT for one in job.reference_sets):
        receipts[NAMED] = everything | "CountNamed" >> CountNamed(size)
    written = _to_write(decisions, exclusions, job) | "WriteShards" >> WriteShards(
        staging,
        work.files,
        job.rules.weighted,
        _weight_scale(decisions),
        job.version,
        job.options.workers,
    )
    receipts["shards.json"] = written[RECEIPTS_TAG]
    receipts[INDEX] = scanned | "WriteIndex" >> WriteIndex(
        staging,
        work.files,
        work.scratch,
        exclusions,
        decisions,
        written.positions,
        total,
        job.scan.group_by,
        job.version,
    )
    receipts[REPEATED] = scanned | "FindRepeated" >> FindRepeated(
        functools.partial(scanned_names, staging=staging)
    )
    # At once and not with the others: progress is told by it.
    _ = total | "Listed" >> beam.Map(_write_listed, work.path(LISTED))
    _ = {work.path(name): some for name, some in receipts.items()} | (
        "Receipts" >> write_results.WriteReceipts(start=start)
    )


def _count_of_base(
    listed: beam.PCollection, exclusions: beam.PCollection, job: IngestJob
) -> dict[str, beam.PCollection]:
    """Counts the input's images that the base has, and the base's records that are held out."""
    passed_over = listed | "CountPassedOver" >> CountImages(passed_over=True)
    receipts = {PASSED_OVER: passed_over | "PassedOverCount" >> beam.Map(_passed_over)}
    if any(one.origin == HELD_OUT for one in job.reference_sets):
        receipts[OVERLAP] = exclusions | "CountOverlap" >> CountOverlap(job.scan.staging)
    return receipts


def _is_new(exclusion: Exclusion) -> bool:
    return origin_of(exclusion.row_id) == NEW


def _passed_over(count: int) -> dict[str, int]:
    return {"passed_over": count}


def _scan_reference(
    start: beam.PCollection,
    job: IngestJob,
    reference: ReferenceSet,
    receipts: dict[str, beam.PCollection],
) -> tuple[beam.PCollection, beam.PCollection]:
    label = "Base" if reference.origin == BASE else "HeldOut"
    chunks = start | f"List{label}" >> ListImages(
        reference.source, reference.tasks, reference.origin
    )
    # The records of a dataset have passed its quality thresholds already.
    scan = dataclasses.replace(
        job.scan,
        source=reference.source,
        crop_config=reference.crop_config,
        thresholds=QualityThresholds(),
    )
    scanned = chunks | f"Scan{label}" >> ScanImages(scan, job.options.workers)
    if reference.origin == HELD_OUT:
        receipts[HELD_OUT_COUNTS] = scanned | "CountUsable" >> CountUsable(scan.staging)
    else:
        rows = os.path.join(job.work.scratch, ANALYZED_ROWS)
        _ = scanned | "WriteBaseTrain" >> beam.Map(_write_base_train, scan.staging, rows)
    return chunks, scanned


def _write_base_train(scanned: Scanned, staging: str, folder: str) -> None:
    """Writes the metadata of a chunk's train images, which the statistics need."""
    train = scanned.usable[scanned.usable["split"] == SPLITS.index("train")]
    if len(train):
        metadata = read_metadata(staging, scanned.chunk, ANALYZED)
        rows = metadata.take([row_of(one) for one in train["row_id"]])
        write_rows(rows, folder, f"base-{scanned.chunk:013x}")


def _to_write(
    decisions: beam.PCollection, exclusions: beam.PCollection, job: IngestJob
) -> beam.PCollection:
    if job.options.on_conflict != QUARANTINE:
        return decisions
    quarantined = exclusions | "Quarantine" >> beam.FlatMap(_quarantined).with_output_types(
        DecisionRows
    )
    return (decisions, quarantined) | "WithQuarantine" >> Merge()


def _quarantined(exclusion: Exclusion) -> list[DecisionRows]:
    """The row that has a conflict written, to the quarantine folder, which is not trained on."""
    if exclusion.verdict.outcome != CONFLICT:
        return []
    row = np.zeros(1, DECISION)
    row["row_id"], row["order"] = exclusion.row_id, exclusion.order
    row["copies"], row["weight"] = 1, 1.0
    row["split"] = FOLDERS.index(QUARANTINE_FOLDER)
    return [DecisionRows.of(row)]


def _weight_scale(decisions: beam.PCollection) -> WeightScale:
    """One float: the factor that makes the mean weight over the train records 1."""
    return WeightScale(
        decisions | "WeightSums" >> beam.Map(normalizing_sums).with_output_types(tuple[float, int])
    )


def _write_listed(count: int, path: str) -> None:
    write_results.write(path, [write_results.count_receipt(count, "listed")])
