"""The protocols that compare pairs: LFW's, other lists of pairs, and all pairs of a set."""

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.model.metrics import verification
from facemill.model.metrics.intervals import by_cluster, sums_by_cluster
from facemill.model.protocols import lfw
from facemill.model.protocols.pair_lists import identity_of, read_pairs
from facemill.pipelines.evaluate import all_pairs, cautions, groups, pictures, report, report_rates
from facemill.pipelines.evaluate.evaluated import Evaluated, Given, refuse_missing
from facemill.pipelines.evaluate.inputs import Embeddings, read_embeddings
from facemill.pipelines.evaluate.options import ALL, ERROR
from facemill.transforms.core.errors import UsageError
from facemill.transforms.scoring.embeddings import EmbeddingSet
from facemill.transforms.search.pair_counts import PairCounts, PairPlan

SCORES = "scores.parquet"

# The false accept rates that LFW's 3,000 impostor pairs can support.
_FARS = (1e-1, 1e-2, 1e-3)


def evaluate(given: Given) -> Evaluated:
    """The figures of the pairs that `pairs` gives.

    Raises:
        UsageError: an input is absent or malformed, or images are missing.
        RunError: the embeddings are not what their manifest says.
    """
    if given.options.pairs == ALL:
        return _of_all_pairs(given)
    text, digest = given.read_text("pairs", "--pairs", given.options.pairs or "")
    pairs = read_pairs(text, given.inputs["pairs"])
    return of_list(given, pairs, digest, identity_of)


def of_list(
    given: Given,
    pairs: lfw.PairList,
    digest: str,
    identity: Callable[[str], str],
    more: Callable[[np.ndarray], dict[str, Any]] = lambda scores: {},
) -> Evaluated:
    """The figures of a list of pairs.

    Args:
        given: the embeddings and the options.
        pairs: the list.
        digest: of its file.
        identity: of one of its images; "" where it is not known.
        more: gives further figures of the scores, float64 [N], -inf for a pair without both
            embeddings.
    """
    options, path = given.options, given.path
    threshold_pairs, threshold_digest = None, None
    if options.threshold_pairs is not None:
        text, threshold_digest = given.read_text(
            "threshold_pairs", "--threshold-pairs", options.threshold_pairs
        )
        threshold_pairs = read_pairs(text, given.inputs["threshold_pairs"])
    parts, groups_digest = groups.read(given)
    settings = {
        "protocol": options.protocol,
        "missing": options.missing,
        "pairs_sha256": digest,
        "threshold_pairs_sha256": threshold_digest,
        "groups_sha256": groups_digest,
        "embeddings_fingerprint": given.fingerprint,
    }
    lists = [pairs] if threshold_pairs is None else [pairs, threshold_pairs]
    wanted = sorted({image for item in lists for image in item.images})
    print(f"looking up {len(wanted):,} images in {path}", file=sys.stderr, flush=True)
    embeddings = read_embeddings(path, given.manifest, wanted)
    if options.missing == ERROR:
        refuse_missing(wanted, embeddings.rows, path)
    scores = score_pairs(pairs, embeddings)
    _check_comparable(pairs, scores, path)
    people = given.trained(map(identity, pairs.images))
    compared = scores[np.isfinite(scores)]
    warnings = [
        *cautions.of_training(people),
        *([] if threshold_pairs is None else cautions.of_thresholds(pairs, threshold_pairs)),
        *cautions.of_scores(float(compared.min()), float(compared.max())),
    ]
    results: dict[str, Any] = {
        "model_id": given.manifest["model_id"],
        "failure_to_acquire": failures(pairs, embeddings),
        "trained_on": people,
        "warnings": warnings,
        **evaluate_pairs(
            pairs,
            scores,
            None
            if threshold_pairs is None
            else (threshold_pairs, score_pairs(threshold_pairs, embeddings)),
        ),
        **more(scores),
        "groups": None,
    }
    _add_intervals(results, pairs, scores, identity)
    if parts is not None:
        results["groups"] = groups.rates(parts, pairs, scores, results, identity)
    missing = results["pairs"]["missing"]
    counts = {
        "listed": len(pairs.pairs),
        "scored": len(pairs.pairs) - missing,
        "missing": missing,
    }
    page = report.render(results, pairs, scores, _faces(given, pairs, scores, embeddings))
    table = _score_table(pairs, scores, embeddings)
    rows = [*summary(results), *groups.rows(results)]
    return Evaluated(settings, results, page, counts, _metrics(results), rows, {SCORES: table})


def _add_intervals(
    results: Mapping[str, Any],
    pairs: lfw.PairList,
    scores: np.ndarray,
    identity: Callable[[str], str],
) -> None:
    """Adds the interval over identities to each TAR; None where the pairs do not name them."""
    who = [identity(pair.left) for pair in pairs.pairs if pair.genuine]
    genuine = scores[pairs.genuine]
    for row in results["tar_at_far"]:
        if row["supported"]:
            threshold = np.inf if row["threshold"] is None else row["threshold"]
            interval = by_cluster(*sums_by_cluster(who, genuine >= threshold)) if all(who) else None
            row["tar_by_identity_95"] = None if interval is None else list(interval)


def _faces(
    given: Given, pairs: lfw.PairList, scores: np.ndarray, embeddings: Embeddings
) -> dict[str, bytes]:
    """Pictures of the hardest pairs, by the list's names."""
    shown = {
        image
        for genuine in (True, False)
        for index in report.hardest(pairs, scores, genuine)
        for image in (pairs.pairs[index].left, pairs.pairs[index].right)
    }
    ids = {name: embeddings.image_ids[name] for name in shown if name in embeddings.image_ids}
    found = pictures.faces_of(given.path, given.manifest, ids.values())
    return {name: found[one] for name, one in ids.items() if one in found}


def _of_all_pairs(given: Given) -> Evaluated:
    """The figures of all pairs of the embeddings that have an identity."""
    embeddings = EmbeddingSet.of(given.path, given.manifest)
    named = all_pairs.read_people(embeddings)
    plan = PairPlan(embeddings, named.rows)
    threads = given.options.workers
    run_info: dict[str, Any] = {}

    def count(plan: PairPlan) -> PairCounts:
        if given.runner is None or given.work is None:
            return all_pairs.count_here(plan, threads)
        found, info = all_pairs.count_by_runner(plan, threads, given.runner, given.work)
        before = run_info.get("seconds", 0)
        run_info.update(info)
        run_info["seconds"] = before + info.get("seconds", 0)
        return found

    counted = all_pairs.count_twice(plan, count)
    people = given.trained(named.identities)
    figures = all_pairs.figures(named, counted)
    results = {
        "model_id": given.manifest["model_id"],
        "trained_on": people,
        "warnings": [
            *cautions.of_training(people),
            # Scores within a step of the grid are equal as far as it can tell.
            *cautions.of_scores(*all_pairs.extremes(counted.whole)),
        ],
        **figures,
    }
    total = figures["pairs"]["genuine"] + figures["pairs"]["impostor"]
    counts = {"listed": total, "scored": total, "missing": 0}
    page = report_rates.render_all_pairs(
        results, all_pairs.curve(counted), all_pairs.samples(counted.whole)
    )
    return Evaluated(
        settings_of_all(given),
        results,
        page,
        counts,
        _metrics(results),
        summary(results),
        run_info=run_info,
    )


def settings_of_all(given: Given) -> dict[str, Any]:
    """The options that change the figures of all pairs, which are known before these."""
    return {"protocol": "all-pairs", "embeddings_fingerprint": given.fingerprint}


def _metrics(results: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {"equal_error_rate": results["equal_error_rate"]["rate"]}
    if "accuracy" in results:
        accuracy = results["accuracy"]
        metrics |= {"accuracy": accuracy["mean"], "standard_error": accuracy["standard_error"]}
    return metrics


def score_pairs(pairs: lfw.PairList, embeddings: Embeddings) -> np.ndarray:
    """Cosine similarity of each pair, float64 [N]; -inf where an embedding is missing."""
    scores = np.full(len(pairs.pairs), -np.inf)
    rows = [
        (index, embeddings.rows[pair.left], embeddings.rows[pair.right])
        for index, pair in enumerate(pairs.pairs)
        if pair.left in embeddings.rows and pair.right in embeddings.rows
    ]
    if rows:
        indices, left, right = np.array(rows).T
        scores[indices] = verification.cosine(embeddings.vectors[left], embeddings.vectors[right])
    return scores


def failures(pairs: lfw.PairList, embeddings: Embeddings) -> dict[str, Any]:
    """Number and share of the pairs' images without an embedding: the failure to acquire."""
    images = pairs.images
    failed = sum(image not in embeddings.rows for image in images)
    return {"images": len(images), "failed": failed, "rate": failed / len(images)}


def evaluate_pairs(
    pairs: lfw.PairList,
    scores: np.ndarray,
    threshold_pairs: tuple[lfw.PairList, np.ndarray] | None = None,
) -> dict[str, Any]:
    """All figures of `results.json` but the failure to acquire.

    Args:
        pairs: the list.
        scores: float [N]; -inf where an embedding is missing, which is a rejection: the rates are
            then FAR and FRR, and `comparisons` has FMR and FNMR.
        threshold_pairs: the list that gives the threshold, and its scores.

    Raises:
        UsageError: the list cannot give its own threshold.
    """
    accuracy = lfw.evaluate(pairs, scores, threshold_pairs)
    genuine, impostor = scores[pairs.genuine], scores[~pairs.genuine]
    best, best_threshold = verification.best_accuracy(genuine, impostor)
    missing = int(np.count_nonzero(np.isneginf(scores)))
    return {
        "protocol": "lfw" if pairs.view else "pairs",
        "view": pairs.view,
        "pairs": {"genuine": len(genuine), "impostor": len(impostor), "missing": missing},
        "rates": ["FAR", "FRR"] if missing else ["FMR", "FNMR"],
        "accuracy": {
            "mean": accuracy.mean,
            "standard_error": accuracy.standard_error,
            "threshold_from": accuracy.threshold_from,
        },
        "folds": [dataclasses.asdict(row) for row in accuracy.folds],
        "equal_error_rate": equal_error_rate(genuine, impostor),
        "tar_at_far": verification.as_json(verification.tar_at_far(genuine, impostor, _FARS)),
        "comparisons": _comparisons(genuine, impostor) if missing else None,
        "best_threshold_accuracy": {
            "accuracy": best,
            "threshold": best_threshold,
            "note": "optimistic: the threshold was chosen on these pairs",
        },
    }


def summary(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of the short table that the command ends with."""
    accept, reject = results["rates"]
    rate = report.rate_text(results["equal_error_rate"])
    rows = [] if "accuracy" not in results else [("accuracy", report.accuracy_text(results))]
    rows.append(("equal error rate", f"{rate} ({accept} = {reject})"))
    for row in results["tar_at_far"]:
        shown = report.percent(row["tar"]) if row["supported"] else row["reason"]
        rows.append((f"TAR at FAR {row['far']:g}", shown))
    if "insightface" in results:
        rows.append(("as insightface", report.insightface_text(results)))
    if "best_threshold_accuracy" in results:
        best = report.percent(results["best_threshold_accuracy"]["accuracy"])
        rows.append(("best accuracy", f"{best} (optimistic: threshold from these pairs)"))
    count = results["pairs"]
    pairs = f"{count['genuine']:,} genuine, {count['impostor']:,} impostor"
    rows.append(("pairs", f"{pairs}, {count['missing']:,} missing"))
    if results.get("without_identity"):
        rows.append(("not compared", f"{results['without_identity']:,} images without identity"))
    if results.get("comparisons"):
        rows.append(("not acquired", report.failures_text(results)))
        rate = report.rate_text(results["comparisons"]["equal_error_rate"])
        rows.append(("without these", f"equal error rate {rate} (FMR = FNMR)"))
    return rows


def equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> dict[str, float | None]:
    """Rate and threshold; None for both where missing scores keep the rates from crossing."""
    rate, threshold = verification.equal_error_rate(verification.roc(genuine, impostor))
    return {
        "rate": rate if math.isfinite(rate) else None,
        "threshold": threshold if math.isfinite(threshold) else None,
    }


def _comparisons(genuine: np.ndarray, impostor: np.ndarray) -> dict[str, Any]:
    """The figures over the compared pairs alone, without the failures to acquire."""
    genuine, impostor = (some[np.isfinite(some)] for some in (genuine, impostor))
    rows = verification.tar_at_far(genuine, impostor, _FARS)
    return {
        "genuine": len(genuine),
        "impostor": len(impostor),
        "equal_error_rate": equal_error_rate(genuine, impostor),
        "fnmr_at_fmr": [
            {"fmr": row.far, "fnmr": None if row.tar is None else 1 - row.tar} for row in rows
        ],
    }


def _check_comparable(pairs: lfw.PairList, scores: np.ndarray, path: str) -> None:
    compared = np.isfinite(scores)
    counts = [int(np.count_nonzero(compared & (pairs.genuine == kind))) for kind in (True, False)]
    if 0 in counts:
        raise UsageError(
            "--pairs must have a genuine and an impostor pair that can be compared, but of "
            f"{counts[0]:,} genuine and {counts[1]:,} impostor pairs {path} has both embeddings; "
            "score more images."
        )


def _score_table(pairs: lfw.PairList, scores: np.ndarray, embeddings: Embeddings) -> pa.Table:
    """One row per pair in the order of the file; ids and score are null where one is missing."""
    ids = embeddings.image_ids
    return pa.table(
        {
            "fold": pa.array(pairs.fold + 1, pa.int32()),
            "genuine": pa.array(pairs.genuine),
            "left": pa.array([pair.left for pair in pairs.pairs], pa.string()),
            "right": pa.array([pair.right for pair in pairs.pairs], pa.string()),
            "left_image_id": pa.array([ids.get(pair.left) for pair in pairs.pairs], pa.string()),
            "right_image_id": pa.array([ids.get(pair.right) for pair in pairs.pairs], pa.string()),
            "score": pa.array(scores, pa.float64(), mask=np.isneginf(scores)),
        }
    )
