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
import pyarrow as pa

from pipelines import ingest_checks, ingest_report
from pipelines.engine import Engine, choose
from pipelines.ingest_checks import LISTED
from pipelines.ingest_known import (
    KIND,
    Base,
    Known,
    check_base,
    held_out_digest,
    known_sets,
    read_base,
    share_files,
    write_known_keys,
)
from pipelines.ingest_rules import floor, result_options, selection
from pipelines.options.ingest import IngestOptions
from pipelines.progress import Progress
from transforms import artifact, receipts, statistics, storage
from transforms.artifact import Work
from transforms.chunk import Chunk
from transforms.duplicates.transform import FindDuplicates
from transforms.duplicates.verdicts import QUARANTINE, SetAside
from transforms.facts import ANALYZED
from transforms.framing import Look, check_detector
from transforms.index import TRAIN_TAG, WriteIndex
from transforms.listing import ListImages
from transforms.outcomes import CONFLICT
from transforms.places import OLD, origin_of_chunk, row_of
from transforms.quality import Floor
from transforms.scan import ScanJob, Scanned
from transforms.scanning import ScanImages
from transforms.selection import DECISION, SelectImages, Selection, normalizing_sums
from transforms.shards import RECEIPTS_TAG, WriteShards
from transforms.sources import registry
from transforms.splits import FOLDERS, SPLITS
from transforms.splits import QUARANTINE as QUARANTINE_FOLDER
from transforms.staging import STAGING, images_staged, read_facts


@dataclasses.dataclass(frozen=True)
class IngestJob:
    """A run that is ready to be built.

    Attributes:
        options: checked values.
        scan: what is read, and how.
        rules: what stays.
        known: what it is compared with.
        base: the dataset of which it makes a new version, or None.
        work: where it is written.
    """

    options: IngestOptions
    scan: ScanJob
    rules: Selection
    known: Sequence[Known]
    base: Base | None
    work: Work

    @property
    def known_keys(self) -> str | None:
        """File of the keys of the images that the base has, see `transforms.listing`."""
        return None if self.base is None else self.work.path("known.npy")

    @property
    def version(self) -> int:
        """Of the dataset."""
        return 1 if self.base is None else self.base.version


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
    root = storage.absolute(options.input, "--input", remote=True)
    form = options.format or registry.guess(root)
    source = registry.build(form, root, _manifest_root(options))
    # An input that is not there is refused before the output is touched.
    source.tasks()
    storage.check_apart(root, storage.absolute(options.output, "--output"))
    look = Look(options.image_size, options.align, options.crop_fraction, options.detector)
    check_detector(look)
    rules = selection(options)
    base = read_base(options.append_to)
    known = known_sets(options, look, base)
    wanted = {
        **result_options(options, form),
        "exclude_dataset": held_out_digest(options),
        "append_to": None if base is None else artifact.fingerprint(base.manifest),
    }
    if base is not None:
        check_base(base, wanted)
    inputs = {"input": root, **{_name(one): one.source.root for one in known}}
    with artifact.begin(options.output, KIND, wanted, inputs=inputs) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to ingest again.")
            return
        scan = ScanJob(
            source=source,
            staging=os.path.dirname(work.path(STAGING, "")),
            look=look,
            floor=floor(options),
            seed=options.seed,
            group_by=rules.columns[0] if rules.columns else None,
            windows=options.dedup == "thorough",
        )
        _ingest(IngestJob(options, scan, rules, known, base, work), engine)


def _ingest(job: IngestJob, engine: Engine) -> None:
    work, options = job.work, job.options
    if job.base is not None and job.known_keys is not None:
        write_known_keys(job.base, job.known_keys)
    progress = Progress(
        "images read",
        functools.partial(images_staged, job.scan.staging),
        functools.partial(ingest_checks.listed_so_far, work),
    )
    run_info = engine.run(functools.partial(build_graph, job=job), progress)
    checked = ingest_checks.check(work, options, job.base)
    report = ingest_report.render(work, job.scan, checked, options)
    storage.write_atomically(work.path("report.html"), report.encode("utf-8"))
    if job.base is not None:
        share_files(job.base, work.scratch)
    _commit(job, checked, {**run_info, "workers": options.workers})
    _print_table(checked, options.output)


def build_graph(pipeline: beam.Pipeline, job: IngestJob) -> None:
    """The Beam graph of an ingest run; it reads like the drawing at the top of this module."""
    work, staging = job.work, job.scan.staging
    listed = pipeline | "ListImages" >> ListImages(job.scan.source, known=job.known_keys)
    scanned = listed | "ScanImages" >> ScanImages(job.scan, job.options.workers)
    total = _total(listed, "")
    known = [_scan_known(pipeline, job, one) for one in job.known]
    everything, size = scanned, total
    if known:
        chunks, looked = zip(*known, strict=True)
        everything = (scanned, *looked) | "WithKnown" >> beam.Flatten()
        size = _total((listed, *chunks) | "AllChunks" >> beam.Flatten(), "All")
    aside = everything | "FindDuplicates" >> FindDuplicates(
        staging, job.options.dedup, job.options.on_conflict, job.scan.seed, size
    )
    decisions = everything | "SelectImages" >> SelectImages(aside, job.rules, size)
    written = _to_write(decisions, aside, job) | "WriteShards" >> WriteShards(
        staging, work.scratch, job.rules.weighted, _weight_scale(decisions), job.version
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
            output_dir=os.path.join(work.scratch, "transform"),
            temp_dir=os.path.join(work.scratch, "tft"),
        )
    )
    _ = total | "Listed" >> beam.Map(_listed) | receipts.WriteReceipts(work.path(LISTED))
    _ = written[RECEIPTS_TAG] | "Shards" >> receipts.WriteReceipts(work.path("shards.json"))
    _ = index.receipts | "Index" >> receipts.WriteReceipts(work.path("index.json"))


def _manifest_root(options: IngestOptions) -> str | None:
    return None if options.root is None else storage.absolute(options.root, "--root", remote=True)


def _name(known: Known) -> str:
    return "append_to" if known.origin == OLD else "exclude_dataset"


def _total(chunks: beam.PCollection, label: str) -> beam.PCollection:
    return (
        chunks
        | f"{label}Sizes" >> beam.Map(_chunk_size).with_output_types(int)
        | f"{label}Total" >> beam.CombineGlobally(sum)
    )


def _scan_known(
    pipeline: beam.Pipeline, job: IngestJob, known: Known
) -> tuple[beam.PCollection, beam.PCollection]:
    label = "Old" if known.origin == OLD else "HeldOut"
    chunks = pipeline | f"List{label}" >> ListImages(known.source, known.origin)
    # A dataset's records passed a floor of quality once.
    scan = dataclasses.replace(job.scan, source=known.source, look=known.look, floor=Floor())
    return chunks, chunks | f"Scan{label}" >> ScanImages(scan, job.options.workers)


def _old_train(scanned: Scanned, staging: str) -> list[pa.Table]:
    """What the statistics need of the train images of the dataset that is added to."""
    train = scanned.usable[scanned.usable["split"] == SPLITS.index("train")]
    if origin_of_chunk(scanned.chunk) != OLD or not len(train):
        return []
    facts = read_facts(staging, scanned.chunk, ANALYZED)
    return [facts.take([row_of(one) for one in train["place"]])]


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


def _chunk_size(chunk: Chunk) -> int:
    return chunk.count


def _listed(count: int) -> dict[str, int]:
    return {"listed": count}


def _commit(job: IngestJob, checked: ingest_checks.Checked, run_info: dict[str, Any]) -> None:
    work = job.work
    transform = os.path.join(work.scratch, "transform")
    if not checked.splits["train"]["records"]:
        statistics.settle_empty(transform)
    moments = statistics.moments(transform)
    files = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in checked.files]
    files += [] if job.base is None else job.base.shared
    files += [
        artifact.file_entry(work.scratch, f"transform/{name}")
        for name in statistics.stable_files(transform)
    ]
    files.append(artifact.file_entry(work.scratch, "report.html"))
    manifest = {
        "version": job.version,
        "counts": checked.counts,
        "splits": checked.splits,
        "balance": checked.balance,
        "source": {"fingerprint": checked.source_fingerprint},
        "preprocessing": job.scan.look.to_manifest(),
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
