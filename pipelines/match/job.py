"""`facemill match`: who of a gallery is in photos.

plan -> tasks -> search (one shard of the gallery, a group of blocks of probes) -> by block -> write
"""

import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from facemill.pipelines.common.progress import Progress
from facemill.pipelines.common.runner import choose
from facemill.pipelines.common.scratch import is_here
from facemill.pipelines.common.thresholds import threshold
from facemill.pipelines.match import pairs, report
from facemill.pipelines.match.options import MatchOptions
from facemill.pipelines.match.outputs import REPORT, begin, needed
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError
from facemill.transforms.dataset import artifact, write_results
from facemill.transforms.dataset.done_marks import images_done
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import check_same_model
from facemill.transforms.search.methods import EXACT
from facemill.transforms.search.plan import Plan, plan
from facemill.transforms.search.transform import FindNeighbors
from facemill.transforms.search.write_matches import MATCHES, UNMATCHED, WriteMatches

_RECEIPTS, _PROGRESS = "blocks.json", "progress"
_COUNTED = ("probes", "matched", "pairs", "named", "right", "sampled", "recalled")


def run(options: MatchOptions, beam_args: Sequence[str]) -> None:
    """Makes the matches that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: an input cannot be used, or the output holds something else.
        RunError: embeddings differ from their manifest, or the runner failed.
    """
    if options.pairs is not None:
        pairs.run(options, beam_args)
        return
    if options.embeddings is not None:
        raise ParameterError(
            "embeddings",
            options.embeddings,
            must="go with `pairs`",
            got=f"{options.embeddings} without",
            do="give `probes` and `gallery`",
        )
    paths = {"probes": options.probes, "gallery": options.gallery, "output": options.output}
    runner = choose(beam_args, paths)
    probes, probes_manifest = needed(options.probes, "probes")
    gallery, gallery_manifest = needed(options.gallery, "gallery")
    check_same_model(probes, gallery, "gallery")
    least = threshold(
        options.threshold,
        options.fmr,
        options.model,
        probes.model_id,
        (probes.path, gallery.path),
    )
    wanted = {
        "probes_fingerprint": artifact.fingerprint(probes_manifest),
        "gallery_fingerprint": artifact.fingerprint(gallery_manifest),
        "top_k": options.top_k,
        "threshold": least,
        "search": options.search,
        # What an index finds depends on the shard that it is built of.
        "memory": None if options.search == EXACT else options.memory,
    }
    inputs = {"probes": probes.path, "gallery": gallery.path}
    here = is_here(options.scratch, runner.is_local)
    with begin(options, wanted, inputs, (probes, gallery), here) as work:
        if work is None:
            return
        given = plan(
            probes,
            gallery,
            options.memory,
            options.top_k,
            least,
            search=options.search,
            may_lack_probes=bool(probes_manifest["options"].get("since")),
        )
        build = functools.partial(build_graph, plan=given, threads=options.workers, work=work)
        progress = Progress(
            "probes compared", functools.partial(_compared, work, given), lambda: given.probe_count
        )
        run_info = runner.run(build, progress, work.output)
        counts, files = _check(work, given)
        page = report.render(work, given, counts, files)
        storage.write_atomically(work.path(REPORT), page.encode("utf-8"))
        files.append(artifact.file_entry(work.scratch, REPORT))
        run_info |= {"workers": options.workers, "shards": len(given.shards)}
        manifest = {
            "counts": {name: counts[name] for name in ("probes", "gallery", "matched", "unmatched")}
            | {"pairs": counts["pairs"]},
            "metrics": {name: counts[name] for name in ("named", "right")}
            | {"recall": _recall(counts)},
            "model_id": probes.model_id,
            "files": [
                entry | {"path": work.placed(entry["path"])}
                for entry in sorted(files, key=lambda entry: entry["path"])
            ],
        }
        promote = [*work.written((MATCHES, UNMATCHED)), (work.path(REPORT), work.placed(REPORT))]
        work.commit(manifest, promote, run_info)
        print(work.output)
        print(_summary(counts, given))


def build_graph(pipeline: beam.Pipeline, plan: Plan, threads: int, work: Work) -> None:
    """The Beam graph of a search.

    Args:
        pipeline: to build it in.
        plan: of the search.
        threads: that search in each worker process.
        work: the run, into whose scratch directory receipts are written.
    """
    hits = pipeline | "FindNeighbors" >> FindNeighbors(plan, threads, work.path(_PROGRESS))
    blocks = hits | "WriteMatches" >> WriteMatches(plan, work.files)
    _ = {work.path(_RECEIPTS): blocks} | "Blocks" >> write_results.WriteReceipts()


def _compared(work: Work, plan: Plan) -> int:
    """Probes that have met all shards; on the way there, their share."""
    return images_done(work.path(_PROGRESS)) // len(plan.shards)


def _check(work: Work, plan: Plan) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Counts of all blocks, and the files of them.

    Raises:
        RunError: a probe was lost.
    """
    receipts = write_results.read(work.path(_RECEIPTS))
    counts = {name: sum(one[name] for one in receipts) for name in _COUNTED}
    if counts["probes"] != plan.probe_count:
        raise RunError(
            f"Every probe must be matched once, but {plan.probe_count:,} were read and "
            f"{counts['probes']:,} have a result; run the command again."
        )
    counts["gallery"] = plan.gallery_count
    counts["unmatched"] = counts["probes"] - counts["matched"]
    files = [entry for one in receipts for entry in one["files"]]
    return counts, sorted(files, key=lambda entry: entry["path"])


def _recall(counts: dict[str, int]) -> float | None:
    """The share of the sample's exact pairs that were found; None for the exact search."""
    return counts["recalled"] / counts["sampled"] if counts["sampled"] else None


def _summary(counts: dict[str, int], plan: Plan) -> str:
    """The short table that the command ends with."""
    rows = [(name, f"{counts[name]:,}") for name in ("probes", "gallery", "matched", "unmatched")]
    rows.append(("pairs", f"{counts['pairs']:,}"))
    rows.append(("threshold", "none" if plan.threshold is None else f"{plan.threshold:.4f}"))
    if counts["named"]:
        share = counts["right"] / counts["named"]
        rows.append(("best is right", f"{share:.2%} of {counts['named']:,} with a known identity"))
    recall = _recall(counts)
    if recall is not None:
        text = f"{recall:.2%} of {counts['sampled']:,} pairs that the exact search finds"
        rows.append(("recall", text))
    return "\n".join(f"  {name:<14} {value:>12}" for name, value in rows)
