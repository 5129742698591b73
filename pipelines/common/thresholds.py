"""The least score of a match: given, or that of a model at a false match rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact


def threshold(
    given: float | None,
    fmr: float | None,
    model: str | None,
    model_id: str,
    embeddings: Sequence[str],
) -> float | None:
    """The threshold that the options ask for; None where they ask for none.

    Args:
        given: the threshold itself.
        fmr: a false match rate, in place of it.
        model: path of the model; None for where scoring found it.
        model_id: of the embeddings.
        embeddings: paths of embeddings whose `run.json` may name the model.

    Raises:
        UsageError: the model is not found, is another one, or states no threshold at that rate.
    """
    if fmr is None:
        return given
    thresholds, found = _stated(model, model_id, embeddings, "--fmr")
    for rate, value in thresholds.items():
        if float(rate) == fmr:
            return float(value)
    raise UsageError(
        f"--fmr must be a rate at which the model states a threshold ({', '.join(thresholds)}), "
        f"got {fmr:g} for {found}; give one of these, or --threshold."
    )


def strictest(model: str | None, model_id: str, embeddings: Sequence[str]) -> tuple[float, str]:
    """The threshold at the lowest false match rate that a model states, and that rate.

    Args:
        model: see `threshold`.
        model_id: of the embeddings.
        embeddings: see `threshold`.

    Raises:
        UsageError: see `threshold`.
    """
    thresholds, _ = _stated(model, model_id, embeddings, "--threshold")
    rate = min(thresholds, key=float)
    return float(thresholds[rate]), rate


def _stated(
    model: str | None, model_id: str, embeddings: Sequence[str], wanting: str
) -> tuple[Mapping[str, Any], str]:
    """The thresholds of the model by rate, one at least, and where it is.

    Args:
        model: see `threshold`.
        model_id: see `threshold`.
        embeddings: see `threshold`.
        wanting: the flag that needs them, for messages.
    """
    instead = "give --threshold" if wanting == "--threshold" else "give --threshold in its place"
    found = model or next(filter(None, map(_model_of, embeddings)), None)
    if found is None:
        raise UsageError(
            f"{wanting} must come from the model of the embeddings, but {embeddings[0]} does not "
            f"say where that is; give --model, or {instead}."
        )
    manifest = artifact.read_manifest(storage.absolute(found, "model"), "model")
    if manifest["model_id"] != model_id:
        raise UsageError(
            f"--model must be the one that made the embeddings ({model_id[:12]}...), got {found} "
            f"({manifest['model_id'][:12]}...); give that model, or {instead}."
        )
    thresholds = manifest.get("thresholds") or {}
    if not thresholds:
        raise UsageError(
            f"{wanting} must come from a model that states thresholds, but {found} states none; "
            f"measure one with `facemill evaluate` and {instead}."
        )
    return thresholds, found


def _model_of(embeddings: str) -> str | None:
    """Where the model of embeddings was, if there still is one."""
    path = artifact.read_run(embeddings).get("inputs", {}).get("model")
    is_there = path and storage.is_file(storage.join(path, artifact.MANIFEST))
    return path if is_there else None
