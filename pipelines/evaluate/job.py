"""`facemill evaluate`: a benchmark's figures from embeddings, as an artifact.

The artifact holds `results.json`, `scores.parquet` (every pair of a list with its score),
`report.html` and the manifest.
"""

import dataclasses
import hashlib
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facemill.model.metrics import verification
from facemill.model.protocols import lfw
from facemill.model.protocols.pair_lists import identity_of, read_pairs
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.evaluate import all_pairs, cautions, report
from facemill.pipelines.evaluate.inputs import Embeddings, read_embeddings
from facemill.pipelines.evaluate.options import ALL, ERROR, EvaluateOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact

KIND = "evaluation"
RESULTS = "results.json"
SCORES = "scores.parquet"
REPORT = "report.html"

# The false accept rates that LFW's 3,000 impostor pairs can support.
_FARS = (1e-1, 1e-2, 1e-3)
_NAMED = 3


def run(options: EvaluateOptions, beam_args: Sequence[str]) -> None:
    """Makes the evaluation that the options ask for.

    Args:
        options: checked values.
        beam_args: none; evaluation is no Beam job.

    Raises:
        UsageError: an input is absent or malformed, or images are missing.
        RunError: the embeddings are not what their manifest says, or files cannot be written.
    """
    del beam_args
    started = time.monotonic()
    path = storage.absolute(options.embeddings, "embeddings")
    manifest = artifact.read_manifest(path, "embeddings")
    inputs = {"embeddings": path}
    if options.pairs == ALL:
        given = _of_all_pairs(path, manifest, options)
    else:
        given = _of_lists(path, manifest, options, inputs)
    # The settings have a digest of each, so they may have moved.
    with artifact.begin(
        options.output, KIND, given.settings, inputs, identified=list(inputs)
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to evaluate again.")
        else:
            try:
                _write(work, given, started)
            except OSError as error:
                raise RunError(
                    f"{error.filename or work.output} must be writable, got: {error.strerror}; "
                    "make room or give another --output, and run the command again."
                ) from error
            print(options.output)
    print(summary(given.results))


@dataclasses.dataclass(frozen=True)
class _Evaluated:
    """Figures, ready to be written.

    Attributes:
        settings: the options that change them.
        results: what `results.json` holds.
        page: the report.
        counts: of the manifest.
        scores: every pair with its score; None where there are too many.
    """

    settings: dict[str, Any]
    results: dict[str, Any]
    page: str
    counts: dict[str, int]
    scores: pa.Table | None


def _of_lists(
    path: str, manifest: dict[str, Any], options: EvaluateOptions, inputs: dict[str, str]
) -> _Evaluated:
    """The figures of a list of pairs, whose paths are added to the inputs."""
    inputs["pairs"] = storage.absolute(options.pairs, "pairs")
    pairs, digest = _read_pairs(inputs["pairs"], "--pairs")
    threshold_pairs, threshold_digest = None, None
    if options.threshold_pairs is not None:
        inputs["threshold_pairs"] = storage.absolute(options.threshold_pairs, "threshold_pairs")
        threshold_pairs, threshold_digest = _read_pairs(
            inputs["threshold_pairs"], "--threshold-pairs"
        )
    settings = {
        "protocol": options.protocol,
        "missing": options.missing,
        "pairs_sha256": digest,
        "threshold_pairs_sha256": threshold_digest,
        "embeddings_fingerprint": artifact.fingerprint(manifest),
    }
    lists = [pairs] if threshold_pairs is None else [pairs, threshold_pairs]
    wanted = sorted({image for item in lists for image in item.images})
    print(f"looking up {len(wanted):,} images in {path}", file=sys.stderr, flush=True)
    embeddings = read_embeddings(path, manifest, wanted)
    if options.missing == ERROR:
        _refuse_missing(wanted, embeddings, path)
    scores = score_pairs(pairs, embeddings)
    _check_comparable(pairs, scores, path)
    people = _trained(map(identity_of, pairs.images), path, manifest, options)
    compared = scores[np.isfinite(scores)]
    warnings = [
        *cautions.of_training(people),
        *([] if threshold_pairs is None else cautions.of_thresholds(pairs, threshold_pairs)),
        *cautions.of_scores(float(compared.min()), float(compared.max())),
    ]
    results = {
        "model_id": manifest["model_id"],
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
    }
    missing = results["pairs"]["missing"]
    counts = {
        "listed": len(pairs.pairs),
        "scored": len(pairs.pairs) - missing,
        "missing": missing,
    }
    page = report.render(results, pairs, scores)
    table = _score_table(pairs, scores, embeddings)
    return _Evaluated(settings, results, page, counts, table)


def _of_all_pairs(path: str, manifest: dict[str, Any], options: EvaluateOptions) -> _Evaluated:
    """The figures of all pairs of the embeddings that have an identity."""
    settings = {
        "protocol": "all-pairs",
        "embeddings_fingerprint": artifact.fingerprint(manifest),
    }
    named = all_pairs.read_named(path, manifest)
    done = [0]
    with Progress("images compared with all", lambda: done[0], lambda: len(named.vectors)):
        counted = all_pairs.count(named, lambda rows: done.__setitem__(0, rows))
    people = _trained(named.identities, path, manifest, options)
    figures = all_pairs.figures(named, counted)
    results = {
        "model_id": manifest["model_id"],
        "trained_on": people,
        "warnings": [
            *cautions.of_training(people),
            # Scores within a step of the grid are equal as far as it can tell.
            *cautions.of_scores(*all_pairs.extremes(counted)),
        ],
        **figures,
    }
    total = figures["pairs"]["genuine"] + figures["pairs"]["impostor"]
    counts = {"listed": total, "scored": total, "missing": 0}
    page = report.render_all_pairs(results, all_pairs.curve(counted))
    return _Evaluated(settings, results, page, counts, None)


def _trained(
    identities: Iterable[str], path: str, manifest: dict[str, Any], options: EvaluateOptions
) -> dict[str, Any]:
    """Whether the model was trained on these people, by the model that scoring used."""
    found = artifact.read_run(path).get("inputs")
    model = options.model or (found.get("model") if isinstance(found, dict) else None)
    return cautions.about_training(
        identities, model, manifest["model_id"], options.model is not None
    )


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
        "equal_error_rate": _equal_error_rate(genuine, impostor),
        "tar_at_far": verification.as_json(verification.tar_at_far(genuine, impostor, _FARS)),
        "comparisons": _comparisons(genuine, impostor) if missing else None,
        "best_threshold_accuracy": {
            "accuracy": best,
            "threshold": best_threshold,
            "note": "optimistic: the threshold was chosen on these pairs",
        },
    }


def summary(results: Mapping[str, Any]) -> str:
    """The short table that the command ends with."""
    accept, reject = results["rates"]
    rate = report.rate_text(results["equal_error_rate"])
    rows = [] if "accuracy" not in results else [("accuracy", report.accuracy_text(results))]
    rows.append(("equal error rate", f"{rate} ({accept} = {reject})"))
    for row in results["tar_at_far"]:
        shown = report.percent(row["tar"]) if row["supported"] else row["reason"]
        rows.append((f"TAR at FAR {row['far']:g}", shown))
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
    rows.append(("trained on", cautions.trained_text(results["trained_on"])))
    lines = [f"  {name:<18}{value}" for name, value in rows]
    return "\n".join([*lines, *(f"  warning: {text}" for text in results["warnings"])])


def _equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> dict[str, float | None]:
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
        "equal_error_rate": _equal_error_rate(genuine, impostor),
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


def _read_pairs(path: str, flag: str) -> tuple[lfw.PairList, str]:
    """The list and the hex SHA-256 of its file."""
    try:
        data = storage.read_bytes(path)
        # Spreadsheets write "Unicode text" as UTF-16.
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except OSError as error:
        raise UsageError(
            f"{flag} must be a readable file, got {path} ({error.strerror}); check the path."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"{flag} must be a UTF-8 text file, got {path}; give a list of pairs as text."
        ) from None
    return read_pairs(text, path), hashlib.sha256(data).hexdigest()


def _refuse_missing(wanted: list[str], embeddings: Embeddings, path: str) -> None:
    missing = [name for name in wanted if name not in embeddings.rows]
    if missing:
        more = ", ..." if len(missing) > _NAMED else ""
        raise UsageError(
            f"All {len(wanted):,} images of the pairs must have an embedding in {path}, but "
            f"{len(missing):,} have none ({', '.join(missing[:_NAMED])}{more}); score them, or "
            "let their pairs count as rejected with --missing reject."
        )


def _write(work: artifact.Work, given: _Evaluated, started: float) -> None:
    results = given.results
    storage.write_atomically(work.path(RESULTS), artifact.to_json(results))
    names = [RESULTS, REPORT]
    if given.scores is not None:
        with storage.new_file(work.path(SCORES)) as stream:
            pq.write_table(given.scores, stream)
        names.append(SCORES)
    storage.write_atomically(work.path(REPORT), given.page.encode("utf-8"))
    metrics = {"equal_error_rate": results["equal_error_rate"]["rate"]}
    if "accuracy" in results:
        accuracy = results["accuracy"]
        metrics |= {"accuracy": accuracy["mean"], "standard_error": accuracy["standard_error"]}
    work.commit(
        {
            "counts": given.counts,
            "model_id": results["model_id"],
            "metrics": metrics,
            "files": [artifact.file_entry(work.scratch, name) for name in sorted(names)],
        },
        [(work.path(name), name) for name in names],
        {"runner": "one process", "seconds": round(time.monotonic() - started, 3)},
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
