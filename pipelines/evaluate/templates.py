"""Pairs of templates, as IJB-B and IJB-C define them."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from facemill.model.metrics import verification
from facemill.model.protocols.templates import (
    Media,
    TemplatePairs,
    make_templates,
    parse_media,
    parse_template_pairs,
    score_pairs,
)
from facemill.pipelines.evaluate import cautions, pictures, report_rates
from facemill.pipelines.evaluate.evaluated import Evaluated, Given, refuse_missing
from facemill.pipelines.evaluate.inputs import Embeddings, read_embeddings
from facemill.pipelines.evaluate.options import ERROR
from facemill.pipelines.evaluate.pairs import SCORES, equal_error_rate, summary
from facemill.transforms.core.errors import UsageError
from facemill.transforms.scoring.embeddings import unit

_FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def evaluate(given: Given) -> Evaluated:
    """The figures of template pairs.

    Raises:
        UsageError: a list is absent or malformed, or images are missing.
        RunError: the embeddings are not what their manifest says.
    """
    options, path = given.options, given.path
    data, list_digest = given.read_bytes("list_file", "--list", options.list_file or "")
    media = parse_media(data, given.inputs["list_file"])
    data, digest = given.read_bytes("pairs", "--pairs", options.pairs or "")
    pairs = parse_template_pairs(data, given.inputs["pairs"], media)
    wanted = sorted(set(media.images))
    print(f"looking up {len(wanted):,} images in {path}", file=sys.stderr, flush=True)
    found = read_embeddings(path, given.manifest, wanted)
    if options.missing == ERROR:
        refuse_missing(wanted, found.rows, path, "templates")
    present = sorted(found.rows.values())
    found.vectors[present] = unit(found.vectors[present], path)
    templates = make_templates(media, found.rows, found.vectors)
    scores = score_pairs(pairs, templates)
    compared = np.isfinite(scores)
    for kind, name in ((True, "a genuine"), (False, "an impostor")):
        if not (compared & (pairs.genuine == kind)).any():
            raise UsageError(
                f"--pairs must have {name} pair that can be compared, but {path} has embeddings "
                "for both templates of none; score more images."
            )
    genuine, impostor = scores[pairs.genuine], scores[~pairs.genuine]
    curve = verification.roc(genuine, impostor)
    missing, failed = int(np.count_nonzero(~compared)), len(wanted) - len(found.rows)
    people = given.trained([])
    lowest, highest = float(scores[compared].min()), float(scores.max())
    results = {
        "model_id": given.manifest["model_id"],
        "protocol": "templates",
        "templates": {
            "listed": len(media.templates),
            "without_embedding": int(np.count_nonzero(~templates.any(axis=1))),
        },
        "pairs": {"genuine": len(genuine), "impostor": len(impostor), "missing": missing},
        "failure_to_acquire": {
            "images": len(wanted),
            "failed": failed,
            "rate": failed / len(wanted),
        },
        "rates": ["FAR", "FRR"] if missing else ["FMR", "FNMR"],
        "trained_on": people,
        "warnings": cautions.of_scores(lowest, highest),
        "equal_error_rate": equal_error_rate(genuine, impostor),
        "tar_at_far": verification.as_json(
            verification.tar_at_far_of(curve, len(genuine), len(impostor), _FARS)
        ),
    }
    settings = {
        "protocol": "templates",
        "missing": options.missing,
        "list_sha256": list_digest,
        "pairs_sha256": digest,
        "embeddings_fingerprint": given.fingerprint,
    }
    hardest, faces = _hardest(given, media, pairs, scores, found)
    page = report_rates.render_templates(results, curve, scores, pairs.genuine, hardest, faces)
    counts = {
        "listed": len(scores),
        "scored": len(scores) - missing,
        "missing": missing,
    }
    metrics = {"equal_error_rate": results["equal_error_rate"]["rate"]}
    metrics |= {
        f"tar_at_far_{row['far']:g}": row["tar"]
        for row in results["tar_at_far"]
        if row["supported"]
    }
    table = _table(media, pairs, scores)
    rows = [*summary(results), *_failures(results)]
    return Evaluated(settings, results, page, counts, metrics, rows, {SCORES: table})


def _failures(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    templates, images = results["templates"], results["failure_to_acquire"]
    rows = [("templates", f"{templates['listed']:,} of {images['images']:,} images")]
    if images["failed"]:
        lost = f"{images['failed']:,} images, {templates['without_embedding']:,} templates"
        rows.append(("not acquired", lost))
    return rows


def _hardest(
    given: Given, media: Media, pairs: TemplatePairs, scores: np.ndarray, found: Embeddings
) -> tuple[dict[str, list[pictures.Row]], dict[str, bytes]]:
    """The hardest pairs that were compared, by the first image of each template; pictures."""
    first: dict[int, str] = {}
    for image, template in zip(media.images, media.template.tolist(), strict=True):
        if image in found.rows:
            first.setdefault(template, image)
    shown: dict[str, list[pictures.Row]] = {}
    for caption, kind, sign in (
        ("Genuine pairs with the lowest scores", True, 1),
        ("Impostor pairs with the highest scores", False, -1),
    ):
        members = np.flatnonzero((pairs.genuine == kind) & np.isfinite(scores))
        order = members[np.argsort(sign * scores[members], kind="stable")][: report_rates.HARDEST]
        shown[caption] = [
            pictures.Row(
                (first[int(pairs.left[at])], first[int(pairs.right[at])]), f"{scores[at]:.4f}"
            )
            for at in order
        ]
    names = {name for rows in shown.values() for row in rows for name in row.images}
    ids = {name: found.image_ids[name] for name in names}
    faces = pictures.faces_of(given.path, given.manifest, ids.values())
    return shown, {name: faces[one] for name, one in ids.items() if one in faces}


def _table(media: Media, pairs: TemplatePairs, scores: np.ndarray) -> pa.Table:
    """One row for each pair in the order of the file; the score is null where one is missing."""
    names = pa.array(media.templates, pa.string())
    return pa.table(
        {
            "genuine": pa.array(pairs.genuine),
            "left": names.take(pa.array(pairs.left)),
            "right": names.take(pa.array(pairs.right)),
            "score": pa.array(scores, pa.float64(), mask=np.isneginf(scores)),
        }
    )
