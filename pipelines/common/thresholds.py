"""The least score of a match: given, or that of a model at a false match rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.pipelines.common.flags import flag
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
    found = model or next(filter(None, map(_model_of, embeddings)), None)
    if found is None:
        raise UsageError(
            f"--fmr must have the model of the embeddings, but {embeddings[0]} does not say where "
            "it is; give --model, or --threshold in place of --fmr."
        )
    manifest = artifact.read_manifest(storage.absolute(found, "model"), "model")
    if manifest["model_id"] != model_id:
        raise UsageError(
            f"--model must be the one that made the embeddings ({model_id[:12]}...), got {found} "
            f"({manifest['model_id'][:12]}...); give that model, or --threshold in place of --fmr."
        )
    return _at(manifest.get("thresholds") or {}, fmr, found)


def _model_of(embeddings: str) -> str | None:
    """Where the model of embeddings was, if there still is one."""
    path = artifact.read_run(embeddings).get("inputs", {}).get("model")
    is_there = path and storage.is_file(storage.join(path, artifact.MANIFEST))
    return path if is_there else None


def _at(thresholds: Mapping[str, Any], fmr: float, model: str) -> float:
    if not thresholds:
        raise UsageError(
            f"--fmr must be a rate at which the model states a threshold, but {model} states none; "
            f"measure one with `facemill evaluate` and give it with {flag('threshold')}."
        )
    for rate, value in thresholds.items():
        if float(rate) == fmr:
            return float(value)
    raise UsageError(
        f"--fmr must be a rate at which the model states a threshold ({', '.join(thresholds)}), "
        f"got {fmr:g}; give one of these, or --threshold."
    )
