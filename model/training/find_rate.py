"""The range test of learning rates: Smith 2017, arXiv 1506.01186, section 3.3."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import tensorflow as tf

from facemill.model.recipes.recipe import Recipe
from facemill.model.training.crew import Crew
from facemill.model.training.schedules import Rising
from facemill.model.training.trainer import Data, Group, Trainer

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 100
# Of the exponential average that smooths the losses.
_SMOOTHING = 0.9
# The average is that of so many batches; before, it is the loss of one or a few.
_WINDOW = round(1 / (1 - _SMOOTHING))
# The test ends where the smoothed loss is so many times its lowest value.
_DIVERGED = 4.0
# A curve whose loss falls by less proposes nothing.
_LEAST_FALL = 0.02
# The proposed rate's share of the rate with the lowest loss.
_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Curve:
    """What the test found.

    Attributes:
        rates: of its steps, rising.
        losses: of the same steps, all finite.
        smoothed: the same losses as an exponential average.
        proposal: the proposed rate, or None.
        reason: why, in a sentence.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    proposal: float | None
    reason: str


def measure(
    data: Data,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    folder: str,
    logs: str,
    crew: Crew | None = None,
) -> Curve:
    """Trains a new model for some steps, each at a higher rate than the one before.

    Args:
        data: the dataset.
        recipe: of the run that the rate is for; its `steps`, if any, are those of the test.
        strategy: each batch is divided among its replicas.
        folder: nothing is written to it.
        logs: of TensorBoard.
        crew: this process among those that train together, or None if it is alone.

    Raises:
        RunError: a record is damaged.
    """
    steps = max(2, recipe.steps or STEPS)
    # Average, validation and the warm-ups of margin and scale have no part in it.
    plain = dataclasses.replace(
        recipe,
        steps=steps,
        ema=0.0,
        early_stopping=0,
        margin_warmup_epochs=0.0,
        scale_warmup_epochs=0.0,
    )
    rate = Rising(LOWEST, HIGHEST, steps)
    trainer = Trainer(data, plain, strategy, folder, logs, rate=rate, crew=crew)
    return propose([float(rate(step)) for step in range(steps)], _until_diverged(trainer.groups()))


def propose(rates: Sequence[float], losses: Sequence[float]) -> Curve:
    """The rate that a curve proposes: a tenth of the one at which the smoothed loss is lowest.

    Beyond the lowest loss the steps are too large, and near it they are for a model that is no
    longer as far from its goal; a tenth is usual.

    Args:
        rates: of the steps, rising.
        losses: of the same steps, in which those after the test ended may be missing.
    """
    finite = []
    for loss in losses:
        if not math.isfinite(loss):
            break
        finite.append(loss)
    smoothed = _smoothed(finite)
    rates = list(rates[: len(finite)])
    if not smoothed:
        return Curve([], [], [], None, "The first loss was not finite, so no rate is proposed.")
    # The first batches of a window may be easy by chance; the lowest rates hardly change the
    # loss, so their mean is where the curve starts. A short test has a shorter window.
    start = min(_WINDOW, (len(smoothed) + 3) // 4) - 1
    lowest = min(range(start, len(smoothed)), key=smoothed.__getitem__)
    fall = f"from {smoothed[start]:.3g} to {smoothed[lowest]:.3g}"
    if smoothed[lowest] > (1 - _LEAST_FALL) * smoothed[start]:
        reason = (
            f"The loss hardly fell at any rate ({fall}), so no rate is proposed; look at labels "
            "and network, or test with more `steps`."
        )
        return Curve(rates, finite, smoothed, None, reason)
    reason = f"The smoothed loss is lowest at a rate of {rates[lowest]:.2g} ({fall}), and "
    if lowest == len(smoothed) - 1:
        reason += "no higher rate was tried, so a higher one may do as well"
    else:
        reason += "rises beyond it"
    reason += "; a tenth of that rate leaves room."
    return Curve(rates, finite, smoothed, float(f"{_SHARE * rates[lowest]:.2g}"), reason)


def _until_diverged(groups: Iterable[Group]) -> list[float]:
    losses: list[float] = []
    for group in groups:
        losses += group.losses
        smoothed = _smoothed(losses)
        lowest = min(smoothed[min(_WINDOW, len(smoothed)) - 1 :])
        if not math.isfinite(smoothed[-1]) or smoothed[-1] > _DIVERGED * lowest:
            break
    return losses


def _smoothed(losses: Sequence[float]) -> list[float]:
    """Exponential averages, corrected for their start as in Adam."""
    found, average = [], 0.0
    for count, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        found.append(average / (1 - _SMOOTHING**count))
    return found
