"""Open-set identification: who is in the gallery is found, and who is not is turned away."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from facemill.model.metrics import verification
from facemill.model.metrics.identification import NOBODY, Search
from facemill.model.metrics.intervals import by_cluster, sums_by_cluster
from facemill.pipelines.evaluate import cautions, report_search
from facemill.pipelines.evaluate.evaluated import Evaluated, Given
from facemill.pipelines.evaluate.gallery import SCORES, Sides, read_sides
from facemill.pipelines.evaluate.identification import drawn_text
from facemill.pipelines.evaluate.report import failures_text, percent
from facemill.transforms.core.errors import UsageError

_FPIRS = (1e-1, 1e-2, 1e-3, 1e-4)


def evaluate(given: Given) -> Evaluated:
    """The figures of an open-set identification.

    Raises:
        UsageError: an input is absent or malformed, all or none of the probes are of people in the
            gallery, or images are missing.
        RunError: the embeddings are not what their manifest says.
    """
    sides = read_sides(given, is_open=True)
    mated = sides.labels != NOBODY
    for kind, count in (("are", mated.sum()), ("are not", (~mated).sum())):
        if not count:
            raise UsageError(
                f"The probes must be of people who are in the gallery and of people who are not, "
                f"but none of {len(mated):,} {kind} in it; add some, or measure --protocol "
                "identification."
            )
    found = sides.search()
    people = given.trained(
        sorted({entry.identity or "" for entry in (*sides.roles.gallery, *sides.roles.probes)})
    )
    genuine, impostor = found.mated[mated], found.other[~mated]
    curve = verification.roc(genuine, impostor)
    compared = np.concatenate([found.mate[mated], impostor])
    compared = compared[np.isfinite(compared)]
    extremes = (float(compared.min()), float(compared.max())) if len(compared) else (0.0, 1.0)
    results = {
        "model_id": given.manifest["model_id"],
        "protocol": "open-set",
        "drawn_with_seed": sides.seed,
        "gallery": {
            "images": len(sides.roles.gallery),
            "identities": len(sides.roles.identities),
        },
        "probes": {"mated": int(mated.sum()), "non_mated": int((~mated).sum())},
        "failure_to_acquire": sides.failures,
        "trained_on": people,
        "warnings": [*cautions.of_training(people), *cautions.of_scores(*extremes)],
        "fnir_at_fpir": fnir_at_fpir(sides, found, curve),
    }
    settings = {
        "protocol": "open-set",
        "missing": given.options.missing,
        "list_sha256": sides.digest,
        "seed": sides.seed,
        "embeddings_fingerprint": given.fingerprint,
    }
    faces = report_search.faces_of_searches(given, sides, found)
    page = report_search.render_open(results, sides, found, curve, faces)
    counts = {"listed": len(sides.roles.images), "missing": int(sides.failures["failed"])}
    metrics = {
        f"fnir_at_fpir_{row['fpir']:g}": row["fnir"]
        for row in results["fnir_at_fpir"]
        if row["supported"]
    }
    return Evaluated(
        settings, results, page, counts, metrics, _rows(results), {SCORES: sides.table(found)}
    )


def fnir_at_fpir(sides: Sides, found: Search, curve: verification.Roc) -> list[dict[str, Any]]:
    """FNIR at the lowest threshold whose FPIR does not exceed each rate.

    A mated probe is missed if its mate is not on rank 1, or below the threshold.
    """
    mated = sides.labels != NOBODY
    genuine, others = found.mated[mated], int(np.count_nonzero(~mated))
    who = [entry.identity for entry in sides.roles.probes]
    who = [one for one, is_mated in zip(who, mated, strict=True) if is_mated]
    rows: list[dict[str, Any]] = []
    for tar in verification.tar_at_far_of(curve, len(genuine), others, _FPIRS):
        if tar.tar is None or tar.interval is None or tar.threshold is None:
            reason = f"not supported by {others:,} probes of people who are not in the gallery"
            rows.append({"fpir": tar.far, "supported": False, "reason": reason})
            continue
        interval = by_cluster(*sums_by_cluster(who, genuine < tar.threshold))
        low, high = tar.interval
        rows.append(
            {
                "fpir": tar.far,
                "supported": True,
                "fnir": 1 - tar.tar,
                "threshold": tar.threshold if math.isfinite(tar.threshold) else None,
                "wilson_95": [1 - high, 1 - low],
                "by_identity_95": None if interval is None else list(interval),
            }
        )
    return rows


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for row in results["fnir_at_fpir"]:
        shown = row.get("reason", "")
        if row["supported"]:
            low, high = row["by_identity_95"] or row["wilson_95"]
            shown = f"{percent(row['fnir'])} ({100 * low:.2f} to {percent(high)})"
        rows.append((f"FNIR at FPIR {row['fpir']:g}", shown))
    gallery, probes = results["gallery"], results["probes"]
    rows.append(
        ("gallery", f"{gallery['images']:,} images of {gallery['identities']:,} identities")
    )
    both = f"{probes['mated']:,} of them, {probes['non_mated']:,} of others"
    rows.append(("probes", both + drawn_text(results)))
    if results["failure_to_acquire"]["failed"]:
        rows.append(("not acquired", failures_text(results)))
    return rows
