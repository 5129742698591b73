"""`facemill cluster`: faces without names to people.

search of the set in itself (as `facemill match`) -> edges -> groups, in this process -> names
"""

import dataclasses
import functools
import io
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from csv import writer as csv_writer
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.model.metrics import clustering
from facemill.pipelines.cluster import report
from facemill.pipelines.cluster.options import ClusterOptions
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.common.runner import choose
from facemill.pipelines.common.scratch import is_here
from facemill.pipelines.common.thresholds import strictest, threshold
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, naming
from facemill.transforms.dataset import artifact, write_results, writing
from facemill.transforms.dataset.done_marks import images_done
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet, read_set, unit
from facemill.transforms.search.graph import Graph, WriteEdges, read_edges
from facemill.transforms.search.methods import COMPONENTS
from facemill.transforms.search.names import known_people, name_people, numbered, photo_of
from facemill.transforms.search.people import Faces, bounded_people
from facemill.transforms.search.plan import Plan, plan
from facemill.transforms.search.read_clusters import CLUSTER, CLUSTERS, KIND, read_clusters
from facemill.transforms.search.transform import FindNeighbors

LIST, REPORT = "people.csv", "report.html"
_RECEIPTS, _PROGRESS, _EDGES = "blocks.json", "progress", "edges"
_ROWS_PER_PART = 1 << 18
_ROW_GROUP = 65_536
_COLUMNS = (ID, "identity", "source")


@dataclasses.dataclass(frozen=True)
class Clustered:
    """Faces in the order of their names, and their people.

    Attributes:
        ids: [N] image_ids, sorted.
        names: [N] name of each face's person.
        identities: [N] from the input, or None.
        sources: [N] file of each face, relative to the input, or None.
    """

    ids: list[str]
    names: list[str]
    identities: list[str | None]
    sources: list[str | None]


def run(options: ClusterOptions, beam_args: Sequence[str]) -> None:
    """Makes the clusters that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: an input cannot be used, or the output holds something else.
        RunError: embeddings differ from their manifest, or the runner failed.
    """
    paths = {"embeddings": options.embeddings, "output": options.output}
    runner = choose(beam_args, paths)
    given, manifest = read_set(options.embeddings, "embeddings")
    least = threshold(options.threshold, options.fmr, options.model, given.model_id, (given.path,))
    if least is None:
        least, rate = strictest(options.model, given.model_id, (given.path,))
        print(f"threshold {least:.4f}: the model's at a false match rate of {rate}")
    inputs = {"embeddings": given.path}
    before, since = _before(options.since, given, inputs)
    wanted = {
        "embeddings_fingerprint": artifact.fingerprint(manifest),
        "threshold": least,
        "method": options.method,
        "neighbors": options.neighbors,
        "since_fingerprint": since,
    }
    here = is_here(options.scratch, runner.is_local)
    with writing.begin(
        options.output, KIND, wanted, inputs, here=here, identified=list(inputs)
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to cluster again.")
            return
        given.check_files()
        with naming({"probes": "embeddings", "gallery": "embeddings"}):
            search = plan(given, given, options.memory, options.neighbors, least, keeps_best=False)
        build = functools.partial(build_graph, plan=search, threads=options.workers, work=work)
        progress = Progress(
            "faces compared",
            lambda: images_done(work.path(_PROGRESS)) // len(search.shards),
            lambda: search.probe_count,
        )
        run_info = runner.run(build, progress, work.output)
        _check(work, search)
        started = time.monotonic()
        found = _cluster(work, search, options.method, before)
        run_info |= {
            "workers": options.workers,
            "shards": len(search.shards),
            "grouping_seconds": round(time.monotonic() - started, 2),
        }
        _commit(work, given, found, run_info)


def build_graph(pipeline: beam.Pipeline, plan: Plan, threads: int, work: Work) -> None:
    """The Beam graph of a clustering.

    Args:
        pipeline: to build it in.
        plan: of the search.
        threads: that search in each worker process.
        work: the run, into whose scratch directory edges and receipts are written.
    """
    hits = pipeline | "FindNeighbors" >> FindNeighbors(plan, threads, work.path(_PROGRESS))
    blocks = hits | "WriteEdges" >> WriteEdges(plan, work.path(_EDGES))
    _ = {work.path(_RECEIPTS): blocks} | "Blocks" >> write_results.WriteReceipts()


def _before(
    since: str | None, given: EmbeddingSet, inputs: dict[str, str]
) -> tuple[dict[str, str], str | None]:
    """image_id to name in an earlier clustering, and its fingerprint; its path goes to the inputs.

    Raises:
        UsageError: it is no clustering, or one of another model's embeddings.
    """
    if since is None:
        return {}, None
    before, manifest = read_clusters(since, "since", given.model_id)
    inputs["since"] = storage.absolute(since, "since")
    return before, artifact.fingerprint(manifest)


def _check(work: Work, plan: Plan) -> None:
    """Fails if a block was lost."""
    blocks = {one["block"] for one in write_results.read(work.path(_RECEIPTS))}
    if len(blocks) != len(plan.blocks):
        raise RunError(
            f"Every face must be compared once, but {len(blocks):,} of {len(plan.blocks):,} blocks "
            "of them were; run the command again."
        )


def _cluster(work: Work, plan: Plan, method: str, before: Mapping[str, str]) -> Clustered:
    """The people in the graph that the search wrote."""
    tables = plan.probes.tables(plan.probes.all_slices(), _COLUMNS)
    table = pa.concat_tables(list(tables)).combine_chunks()
    ids = table[ID].to_pylist()
    # Faces are numbered by their names, so that no result depends on the parts they lie in.
    order = np.argsort(np.array(ids, object), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ids = [ids[row] for row in order]
    twice = next((a for a, b in itertools.pairwise(ids) if a == b), None)
    if twice is not None:
        raise RunError(
            f"Each image must have one row in {plan.probes.path}, but {twice} has two; score the "
            "images again."
        )
    edges = read_edges(work.path(_EDGES), len(plan.blocks))
    edges["one"], edges["other"] = place[edges["one"]], place[edges["other"]]
    photos = numbered(map(photo_of, ids))
    graph = Graph.of(len(ids), edges, photos)
    known, _ = known_people(ids, before)
    # Whispers need no vectors.
    rows = len(ids) if method == COMPONENTS else 0
    vectors = np.empty((rows, plan.probes.size), np.float32)
    if rows:
        at = 0
        for block in plan.probes.blocks(plan.probes.all_slices(), columns=()):
            there = place[at : at + len(block)]
            vectors[there] = unit(block.vectors, plan.probes.path)
            at += len(block)
    people = bounded_people(graph, Faces(vectors, photos, known), plan.threshold or 0.0, method)
    names = name_people(ids, people, before)
    chosen = table.take(pa.array(order))
    return Clustered(ids, names, chosen["identity"].to_pylist(), chosen["source"].to_pylist())


def agreement(found: Clustered) -> dict[str, Any] | None:
    """How the people agree with the identities that the input names; None where it names none."""
    pairs = [
        (truth, name)
        for truth, name in zip(found.identities, found.names, strict=True)
        if truth is not None
    ]
    if not pairs:
        return None
    truth, names = zip(*pairs, strict=True)
    return {
        "images": len(pairs),
        "identities": len(set(truth)),
        "pairwise": clustering.pairwise(truth, names).as_json(),
        "bcubed": clustering.bcubed(truth, names).as_json(),
    }


def _commit(work: Work, given: EmbeddingSet, found: Clustered, run_info: dict[str, Any]) -> None:
    sizes: dict[str, int] = {}
    for name in found.names:
        sizes[name] = sizes.get(name, 0) + 1
    counts = {
        "images": len(found.ids),
        "clusters": len(sizes),
        "alone": sum(size == 1 for size in sizes.values()),
        "largest": max(sizes.values(), default=0),
    }
    metrics = agreement(found)
    files = [*_write_parts(work, found), _write_list(work, found)]
    page = report.render(given, found.ids, found.names, counts, metrics)
    storage.write_atomically(work.path(REPORT), page.encode("utf-8"))
    files.append(artifact.file_entry(work.scratch, REPORT))
    manifest = {
        "counts": counts,
        "metrics": metrics,
        "model_id": given.model_id,
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    promote = [*work.written((CLUSTERS, LIST)), (work.path(REPORT), REPORT)]
    work.commit(manifest, promote, run_info)
    print(work.output)
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    for name, one in (metrics or {}).items():
        if name not in ("pairwise", "bcubed"):
            continue
        text = f"F1 {one['f1']:.4f} (precision {one['precision']:.4f}, recall {one['recall']:.4f})"
        rows.append((name, text))
    print("\n".join(f"  {name:<10} {value:>12}" for name, value in rows))


def _write_parts(work: Work, found: Clustered) -> Iterator[dict[str, Any]]:
    count = -(-len(found.ids) // _ROWS_PER_PART)
    for part in range(count):
        some = slice(part * _ROWS_PER_PART, (part + 1) * _ROWS_PER_PART)
        table = pa.table(
            {
                ID: pa.array(found.ids[some], pa.string()),
                CLUSTER: pa.array(found.names[some], pa.string()),
            }
        )
        name = f"{CLUSTERS}/part-{part:05d}-of-{count:05d}.parquet"
        written = write_part(table, work.files, name, _ROW_GROUP)
        yield {"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}


def _write_list(work: Work, found: Clustered) -> dict[str, Any]:
    """A list that ingest reads: path, image_id, identity."""
    with work.files.new_file(LIST) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        table = csv_writer(text, lineterminator="\n")
        table.writerow(("path", "image_id", "identity"))
        table.writerows(zip(found.sources, found.ids, found.names, strict=True))
        text.flush()
        # The stream stays open: who opened it closes it.
        text.detach()
    return artifact.file_entry(work.files.folder, LIST)
