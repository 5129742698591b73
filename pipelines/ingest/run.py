"""Executes an ingest run: graph, checks, statistics, report, manifest.

Importing it loads TensorFlow.
"""

import dataclasses
import functools
import time
from typing import Any

from facemill.pipelines.common.failures import failures_in_sentences
from facemill.pipelines.common.flags import with_flags
from facemill.pipelines.common.input_files import INPUT_FILES
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.common.runner import LOCAL, Runner
from facemill.pipelines.ingest import checks, framings, report_answer
from facemill.pipelines.ingest import report as ingest_report
from facemill.pipelines.ingest.config import IngestJob
from facemill.pipelines.ingest.graph import build_graph
from facemill.pipelines.ingest.held_out import HeldOut
from facemill.pipelines.ingest.name_matches import NameMatches, match_names
from facemill.pipelines.ingest.references import photo_sizes, share_files
from facemill.pipelines.ingest.report_data import COLUMNS, IndexSummary
from facemill.transforms.core.row_ids import HELD_OUT
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.dataset.transform_names import TRANSFORM
from facemill.transforms.duplicates.notes import noted
from facemill.transforms.scan.staging import identities_of, images_staged
from facemill.transforms.shards import statistics
from facemill.transforms.shards.analysis import Analysis
from facemill.transforms.shards.index import INDEX

REPORT = "report.html"
_HERE = "this machine"


def execute(job: IngestJob, runner: Runner) -> None:
    """Runs the graph, checks what it wrote, analyzes the train split, and commits all.

    Args:
        job: the run.
        runner: runs the graph.

    Raises:
        RunError: too many images were rejected, none is left, or the runner failed.
    """
    work, options = job.work, job.options
    progress = Progress(
        "images read",
        functools.partial(images_staged, job.scan.staging),
        functools.partial(checks.listed_so_far, work),
    )
    # Building the analysis takes a second, in which worker processes scan already.
    with Analysis(work.scratch) as analysis:
        run_info = runner.run(functools.partial(build_graph, job=job), progress, work.output)
        summary = IndexSummary(ingest_report.SHOWN_OUTCOMES, options.seed)
        checked = checks.check(work, options, job.base, summary)
        checked = dataclasses.replace(
            checked,
            names=_match_names(job, checked),
            guesses=job.guesses,
            alike=noted(job.scan.staging),
            held_out=_with_framings(job, checked.held_out),
        )
        started = time.monotonic()
        with failures_in_sentences(LOCAL, _HERE):
            analysis.run()
        run_info["seconds"] = round(run_info["seconds"] + time.monotonic() - started, 2)
        index = summary.shown(lambda: checks.index_parts(work, COLUMNS))
        report = ingest_report.render(index, job.scan, checked, options)
        work.files.write(REPORT, report.encode("utf-8"))
        if job.base is not None:
            share_files(job.base, work.files)
        run_info["workers"] = options.workers
        run_info[INPUT_FILES] = job.input_files()
        _commit(job, checked, analysis.transform, run_info)
    _print_table(checked, options.output)
    if not checked.named and options.identities and job.scan.source.identities:
        print(
            "  no image has an identity, so there is nobody to train on: name identities by "
            f"{with_flags(job.scan.source.identities)}"
        )


def _match_names(job: IngestJob, checked: checks.Checked) -> NameMatches:
    """How the lists and the held-out set match the identities of the dataset."""
    held_out = None
    if any(one.origin == HELD_OUT for one in job.reference_sets):
        held_out = identities_of(job.scan.staging, HELD_OUT)
    return match_names(checked.identity_names, job.lists, held_out)


def _with_framings(job: IngestJob, found: HeldOut | None) -> HeldOut | None:
    """The figures of the held-out set, with how its photos and those of the input are framed."""
    reference = next((one for one in job.reference_sets if one.origin == HELD_OUT), None)
    if found is None or reference is None:
        return found
    mine = framings.median_framing(checks.index_parts(job.work, framings.COLUMNS))
    theirs = framings.median_framing(photo_sizes(reference, job.scan.staging))
    if mine is None or theirs is None:
        return found
    both = framings.Framings(mine, theirs, job.options.dedup == "thorough")
    return dataclasses.replace(found, framings=both)


def _commit(
    job: IngestJob, checked: checks.Checked, transform: str, run_info: dict[str, Any]
) -> None:
    work = job.work
    train = checked.splits["train"]
    if train["records"]:
        statistics.check_vocabulary(transform, train["identities"])
    else:
        statistics.write_placeholder_vocabulary(transform)
    moments = statistics.moments(transform)
    files = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in checked.files]
    files += [] if job.base is None else job.base.shared
    files += [_transform_entry(transform, name) for name in statistics.stable_files(transform)]
    files.append(artifact.file_entry(work.files.folder, REPORT))
    manifest = {
        "version": job.version,
        "counts": checked.counts,
        "splits": checked.splits,
        "balance": checked.balance,
        "source": {"fingerprint": checked.source_fingerprint},
        "preprocessing": job.scan.crop_config.to_manifest(),
        "held_out": checked.held_out and checked.held_out.to_manifest(),
        "names": checked.names.to_manifest(),
        "passed_over": checked.passed_over,
        "contradictions": checked.contradictions,
        "guesses": [guess.to_manifest() for guess in job.guesses],
        "alike": {"pairs": checked.alike.alike, "cut_short": checked.alike.cut_short},
        "moments": dataclasses.asdict(moments),
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    promote = [*work.written([*FOLDERS, INDEX, REPORT]), (transform, TRANSFORM)]
    # Their bytes differ from run to run, so run.json has their hashes, for readers to check.
    others = [_transform_entry(transform, name) for name in statistics.other_files(transform)]
    work.commit(manifest, promote, {**run_info, TRANSFORM: others})


def _transform_entry(transform: str, name: str) -> dict[str, Any]:
    return artifact.file_entry(transform, name) | {"path": f"{TRANSFORM}/{name}"}


def _print_table(checked: checks.Checked, output: str) -> None:
    print(f"{output}")
    for name, count in checked.counts.items():
        added = "" if checked.added is None else f" {checked.added[name]:>12,} of them new"
        print(f"  {name:<10} {count:>12,}{added}")
    for name, split in checked.splits.items():
        print(
            f"  {name:<10} {split['records']:>12,} records of {split['identities']:,} identities "
            f"in {len(split['shards'])} shards"
        )
    if checked.held_out is not None:
        for line in checked.held_out.words:
            print(f"  {line}")
    for line in checked.names.words:
        print(f"  {line}")
    wide = checked.wide and checked.wide.words
    for words in (wide, report_answer.contradictions(checked), *report_answer.alike(checked)):
        if words:
            print(f"  {words}")
    if checked.passed_over:
        print(
            f"  {checked.passed_over:,} images of the input were passed over, since the dataset "
            "has images of their names"
        )
