"""Closed-set identification: ranks of probes whose identities are all in the gallery."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facemill.model.metrics.identification import Search, cmc, count_ahead, rank_rates
from facemill.model.metrics.intervals import by_cluster, sums_by_cluster, wilson
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.evaluate import cautions, report_search
from facemill.pipelines.evaluate.evaluated import Evaluated, Given
from facemill.pipelines.evaluate.gallery import SCORES, Sides, read_sides
from facemill.pipelines.evaluate.report import failures_text, percent
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.embeddings import (
    ID,
    EmbeddingSet,
    check_same_model,
    read_set,
    unit,
)

_RANKS = (1, 5, 10)
_CMC = 50
_ROWS = 4096


def evaluate(given: Given) -> Evaluated:
    """The figures of a closed-set identification.

    Raises:
        UsageError: an input is absent or malformed, a probe's identity is not in the gallery, or
            images are missing.
        RunError: the embeddings are not what their manifest says.
    """
    sides = read_sides(given, is_open=False)
    _check_closed(sides)
    found = sides.search()
    people = given.trained(sorted(sides.roles.identities))
    known = len(sides.roles.identities)
    who = [entry.identity for entry in sides.roles.probes]
    rates = [
        {
            "rank": row.rank,
            "rate": row.rate,
            "wilson_95": list(row.interval),
            "by_identity_95": _by_identity(who, (found.rank > 0) & (found.rank <= row.rank)),
        }
        for row in rank_rates(found.rank, [rank for rank in _RANKS if rank <= known])
    ]
    results = {
        "model_id": given.manifest["model_id"],
        "protocol": "identification",
        "drawn_with_seed": sides.seed,
        "gallery": {"images": len(sides.roles.gallery), "identities": known},
        "probes": len(sides.roles.probes),
        "failure_to_acquire": sides.failures,
        "trained_on": people,
        "warnings": [
            *cautions.of_training(people),
            *cautions.of_scores(*_extremes(found)),
        ],
        "rank_rates": rates,
        "cmc": cmc(found.rank, min(_CMC, known)).tolist(),
        "distractors": _distractors(given, sides, found),
    }
    settings = {
        "protocol": "identification",
        "missing": given.options.missing,
        "list_sha256": sides.digest,
        "seed": sides.seed,
        "embeddings_fingerprint": given.fingerprint,
        "distractors_fingerprint": (results["distractors"] or {}).get("fingerprint"),
    }
    faces = report_search.faces_of_searches(given, sides, found)
    page = report_search.render_closed(results, sides, found, faces)
    counts = {
        "listed": len(sides.roles.images),
        "missing": int(sides.failures["failed"]),
    }
    metrics = {f"rank_{row['rank']}": row["rate"] for row in rates}
    return Evaluated(
        settings, results, page, counts, metrics, _rows(results), {SCORES: sides.table(found)}
    )


def _check_closed(sides: Sides) -> None:
    absent = [
        entry.image for entry in sides.roles.probes if entry.identity not in sides.roles.identities
    ]
    if absent:
        raise UsageError(
            f"The gallery must hold the identity of each probe, but {len(absent):,} have none in "
            f"it ({absent[0]} is the first); give them one, or measure --protocol open-set."
        )


def _by_identity(who: list[str | None], hits: np.ndarray) -> list[float] | None:
    interval = by_cluster(*sums_by_cluster(who, hits))
    return None if interval is None else list(interval)


def _extremes(found: Search) -> tuple[float, float]:
    scores = np.concatenate([found.mate, found.other])
    scores = scores[np.isfinite(scores)]
    return float(scores.min()), float(scores.max())


def _distractors(given: Given, sides: Sides, found: Search) -> dict[str, Any] | None:
    """Rates at rank 1 while strangers join the gallery, as in MegaFace; memory holds one block.

    The order in which they join follows from a hash of their names.
    """
    if given.options.distractors is None:
        return None
    strangers, manifest = read_set(given.options.distractors, "distractors")
    given.inputs["distractors"] = strangers.path
    check_same_model(EmbeddingSet.of(given.path, given.manifest), strangers, "distractors")
    strangers.check_files()
    known = {entry.identity for entry in (*sides.roles.gallery, *sides.roles.probes)} - {None}
    own = set(sides.image_ids.values())
    hashes: list[np.ndarray] = []
    strange: list[bool] = []
    for table in strangers.tables(strangers.all_slices(), (ID, "identity")):
        names = table[ID].to_pylist()
        hashes.append(np.array([keyed_hash(0, "distractor", name) for name in names], np.uint64))
        # A second photo of a probe's person is no stranger.
        people = zip(names, table["identity"].to_pylist(), strict=True)
        strange += [who not in known and name not in own for name, who in people]
    is_stranger = np.array(strange, bool)
    total = int(np.count_nonzero(is_stranger))
    left_out = len(is_stranger) - total
    if not total:
        raise UsageError(
            f"--distractors must hold images of strangers, but all {left_out:,} images of "
            f"{strangers.path} are of identities of the probes or the gallery; give others."
        )
    sizes = [size for size in (10**power for power in range(1, 12)) if size < total] + [total]
    rows = np.flatnonzero(is_stranger)
    order = rows[np.argsort(np.concatenate(hashes)[rows], kind="stable")]
    size_of = np.full(len(is_stranger), -1)
    size_of[order] = np.searchsorted(sizes, np.arange(total), side="right")
    ahead = np.zeros((len(sides.probes), len(sizes)), np.int64)
    done = [0]
    with Progress("distractors compared", lambda: done[0], lambda: len(is_stranger)):
        for block in strangers.blocks(strangers.all_slices(), (), _ROWS):
            here = size_of[done[0] : done[0] + len(block)]
            vectors = unit(block.vectors[here >= 0], strangers.path)
            mates = found.mate[sides.probe_rows]
            ahead += count_ahead(sides.probes, mates, vectors, here[here >= 0], len(sizes))
            done[0] += len(block)
    more = np.zeros((len(sides.roles.probes), len(sizes)), np.int64)
    more[sides.probe_rows] = np.cumsum(ahead, axis=1)
    return {
        "images": total,
        "left_out": left_out,
        "fingerprint": artifact.fingerprint(manifest),
        "rank_1": [_at_size(size, found, more[:, at]) for at, size in enumerate(sizes)],
    }


def _at_size(size: int, found: Search, more: np.ndarray) -> dict[str, Any]:
    hits = int(np.count_nonzero((found.rank == 1) & (more == 0)))
    count = len(found.rank)
    return {"distractors": size, "rate": hits / count, "wilson_95": list(wilson(hits, count))}


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for row in results["rank_rates"]:
        low, high = row["by_identity_95"] or row["wilson_95"]
        rows.append(
            (f"rank {row['rank']}", f"{percent(row['rate'])} ({100 * low:.2f} to {percent(high)})")
        )
    for row in (results["distractors"] or {}).get("rank_1", ()):
        rows.append((f"+{row['distractors']:,} strangers", f"rank 1 {percent(row['rate'])}"))
    gallery = results["gallery"]
    rows.append(
        ("gallery", f"{gallery['images']:,} images of {gallery['identities']:,} identities")
    )
    rows.append(("probes", f"{results['probes']:,}{drawn_text(results)}"))
    if results["failure_to_acquire"]["failed"]:
        rows.append(("not acquired", failures_text(results)))
    return rows


def drawn_text(results: Mapping[str, Any]) -> str:
    """`, drawn with seed 0`, or nothing where a list names gallery and probes."""
    seed = results["drawn_with_seed"]
    return "" if seed is None else f", drawn with seed {seed}"
