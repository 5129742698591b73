"""What makes the figures of an evaluation better or less certain than they look."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from facemill.model.export import trained_identities
from facemill.model.protocols.lfw import PairList
from facemill.transforms import storage
from facemill.transforms.core.errors import FacemillError
from facemill.transforms.dataset import artifact

_SHOWN = 3


def about_training(
    identities: Iterable[str], model: str | None, model_id: str, asked: bool
) -> dict[str, Any]:
    """How many of the evaluated identities the model was trained on.

    Args:
        identities: the evaluated ones.
        model: path of the model, or None if it is not known.
        model_id: of the embeddings.
        asked: whether a person gave the path, so that a wrong one is refused.

    Returns:
        `identities` and `trained_on`, their numbers, the second None where it cannot be known;
        `shared`, the names of the trained ones, or `reason` why it cannot be known.

    Raises:
        UsageError: a person gave the path, and there is no model.
    """
    names = sorted(set(identities) - {""})
    found: dict[str, Any] = {"identities": len(names), "trained_on": None}
    if not names:
        return {**found, "reason": "the images name no identities"}
    if model is None:
        return {**found, "reason": "the embeddings do not say where their model is"}
    try:
        manifest = artifact.read_manifest(storage.absolute(model, "model"), "model")
        if manifest["model_id"] != model_id:
            return {**found, "reason": "the model at that path is another one"}
        hashes = trained_identities.read(model, manifest)
    except FacemillError:
        if asked:
            raise
        return {**found, "reason": "the model is not where it was"}
    if hashes is None:
        # Only models that were trained here have a recipe.
        how = "trained by an earlier version" if "recipe" in manifest else "imported"
        return {**found, "reason": f"the model was {how}"}
    seen = np.isin(trained_identities.hashes_of(names), hashes)
    shared = [names[index] for index in np.flatnonzero(seen)]
    return {**found, "trained_on": len(shared), "shared": shared}


def of_training(found: Mapping[str, Any]) -> list[str]:
    """The caution about people of the training set, if there is one."""
    if not found["trained_on"]:
        return []
    named = ", ".join(found["shared"][:_SHOWN])
    more = ", ..." if found["trained_on"] > _SHOWN else ""
    return [
        f"{found['trained_on']:,} of {found['identities']:,} evaluated identities are in the "
        f"model's training set ({named}{more}): on strangers the figures "
        "are worse; train on a dataset that was ingested with --exclude-dataset of these images."
    ]


def of_thresholds(pairs: PairList, others: PairList) -> list[str]:
    """The caution about pairs that give the threshold and are judged by it, if there are any."""
    judged = {frozenset((pair.left, pair.right)) for pair in pairs.pairs}
    shared = sum(frozenset((pair.left, pair.right)) in judged for pair in others.pairs)
    if not shared:
        return []
    return [
        f"{shared:,} of the {len(others.pairs):,} pairs that give the threshold are among the "
        "evaluated pairs: the accuracy is optimistic; take the threshold from other pairs."
    ]


def of_scores(lowest: float, highest: float) -> list[str]:
    """The caution about scores that are all equal, if they are."""
    if highest - lowest > 1e-6:
        return []
    return [
        f"All scores are equal ({highest:.4f}): these embeddings tell nobody apart, and no figure "
        "means anything; look at the model."
    ]


def trained_text(found: Mapping[str, Any]) -> str:
    """`0 of 40 identities`, or why it is not known."""
    if found["trained_on"] is None:
        return f"not known, since {found['reason']}"
    return f"{found['trained_on']:,} of {found['identities']:,} identities"
