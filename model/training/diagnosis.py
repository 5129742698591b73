"""What the figures of a run say about it: plain functions over a history.

The thresholds are ours: wide enough that runs which learn on faces raise none of them. Names in
back quotes are fields of the recipe.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import stopping
from facemill.model.training.history import History

# Validations that must all be worse than the best one, and by how much.
_WORSE_FOR, _WORSE_BY = 3, 0.02
# What the train loss must have fallen to in the same time, relative to what it was.
_STILL_FALLS = 0.95
# A loss that keeps more than this share of its first value hardly moves.
_HARDLY_MOVES = 0.98
_FEWEST_STEPS = 50
_HARDLY_BETTER = 0.01
# Relative to the median layer, and to the layer's own median before.
_VANISHES, _EXPLODES = 1e-5, 100.0
_FEWEST_NORMS = 4


@dataclass(frozen=True)
class Finding:
    """Something that a person should know.

    Attributes:
        code: what kind of finding it is: overfitting, underfitting, vanishing or exploding.
        text: a sentence that says what was seen and which options help.
    """

    code: str
    text: str


def findings(history: History, epoch_steps: int, recipe: Recipe) -> list[Finding]:
    """All that the history of a run says so far, at most one of each kind."""
    warmup = round(recipe.warmup_epochs * epoch_steps)
    # Where there are no val pairs, rows hold the figures of further sets alone.
    validation = [row for row in history.validation if "accuracy" in row]
    found = [
        overfitting(history.losses, validation, epoch_steps),
        underfitting(history.losses[warmup:], validation, epoch_steps),
        vanishing(history.layers, history.gradients),
        exploding(history.layers, history.gradients, recipe.clip_norm),
    ]
    return [one for one in found if one is not None]


def overfitting(
    losses: Sequence[float], validation: Sequence[Mapping[str, Any]], epoch_steps: int
) -> Finding | None:
    """Whether train and validation part: the loss still falls, the validation got worse.

    Args:
        losses: of all steps.
        validation: {"step": ..., figure: value in [0, 1]} of each validation.
        epoch_steps: over which losses are averaged.
    """
    if not validation:
        return None
    name = stopping.watched(validation[0])
    at = stopping.best(validation)
    top, last = validation[at], validation[-_WORSE_FOR:]
    if len(validation) - 1 - at < _WORSE_FOR:
        return None
    if any(row[name] > top[name] - _WORSE_BY for row in last):
        return None
    then = _mean(losses[max(0, top["step"] - epoch_steps) : top["step"]])
    now = _mean(losses[-epoch_steps:])
    if now > _STILL_FALLS * then:
        return None
    return Finding(
        "overfitting",
        f"Train and validation part since step {top['step']:,}: {_words(name)} fell from "
        f"{top[name]:.1%} to {last[-1][name]:.1%} while the train loss fell from {then:.3g} to "
        f"{now:.3g}, so the model overfits; keep the best weights by `early_stopping`, augment "
        "more (`crop`, `color_jitter`, `erase`), raise `weight_decay`, or give more identities.",
    )


def underfitting(
    losses: Sequence[float], validation: Sequence[Mapping[str, Any]], epoch_steps: int
) -> Finding | None:
    """Whether neither the train loss nor the validation moves.

    Args:
        losses: of the steps after the warm-up.
        validation: as for `overfitting`.
        epoch_steps: over which losses are averaged at most.
    """
    if len(losses) < max(_FEWEST_STEPS, 2 * epoch_steps):
        return None
    width = max(1, min(epoch_steps, len(losses) // 5))
    first, now = _mean(losses[:width]), _mean(losses[-width:])
    if now < _HARDLY_MOVES * first:
        return None
    if validation:
        name = stopping.watched(validation[0])
        if validation[-1][name] > validation[0][name] + _HARDLY_BETTER:
            return None
    return Finding(
        "underfitting",
        f"The train loss hardly moves: {first:.4g} after the warm-up, {now:.4g} after "
        f"{len(losses):,} more steps, so the learning rate is too small or far too large, or the "
        "network too small; look for a rate by `find_learning_rate`, or change `learning_rate` or "
        "`network`.",
    )


def vanishing(layers: Sequence[str], gradients: Sequence[Mapping[str, Any]]) -> Finding | None:
    """The layer whose gradient is next to nothing beside that of the median layer.

    Args:
        layers: L names.
        gradients: {"step": ..., "norms": float [L]} in the order of steps.
    """
    if len(gradients) < _FEWEST_NORMS or len(layers) < 2:
        return None
    recent = [row["norms"] for row in gradients[-_FEWEST_NORMS:]]
    norms = [statistics.median(values) for values in zip(*recent, strict=True)]
    middle = statistics.median(norms)
    index = min(range(len(norms)), key=norms.__getitem__)
    if norms[index] >= _VANISHES * middle:
        return None
    return Finding(
        "vanishing",
        f"The gradient of the layer {layers[index]} vanishes (norm {norms[index]:.2g}, the median "
        f"layer has {middle:.2g}), so the layer does not learn; take a `network` with shortcuts "
        "and normalization, or lower `learning_rate` if its units died in the first steps.",
    )


def exploding(
    layers: Sequence[str], gradients: Sequence[Mapping[str, Any]], clip_norm: float
) -> Finding | None:
    """The layer whose gradient is many times what it was before.

    Args:
        layers: L names.
        gradients: as for `vanishing`.
        clip_norm: largest global norm that a step uses, 0 for any.
    """
    if len(gradients) < _FEWEST_NORMS:
        return None
    before = [row["norms"] for row in gradients[:-1]]
    usual = [statistics.median(values) for values in zip(*before, strict=True)]
    last = gradients[-1]
    ratios = [now / max(old, 1e-12) for now, old in zip(last["norms"], usual, strict=True)]
    index = max(range(len(ratios)), key=ratios.__getitem__)
    if ratios[index] < _EXPLODES or last["norms"][index] < 1:
        return None
    clip = "lower `clip_norm`" if clip_norm else "clip it by `clip_norm`"
    return Finding(
        "exploding",
        f"The gradient of the layer {layers[index]} explodes (norm {last['norms'][index]:.2g} at "
        f"step {last['step']:,}, {usual[index]:.2g} before); lower `learning_rate`, raise "
        f"`warmup_epochs`, or {clip}.",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _words(name: str) -> str:
    return name.replace("tar_at_fmr_", "TAR at FMR ").replace("_", " ")
