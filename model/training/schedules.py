"""The learning rate of each step: a linear warm-up, then one of four ways to go on."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from facemill.model.recipes.recipe import Recipe


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly over the warm-up and then follows a subclass.

    Args:
        peak: the rate after the warm-up.
        warmup: steps of it.
        total: steps of the run.
    """

    def __init__(self, peak: float, warmup: int, total: int) -> None:
        self._peak = peak
        self._warmup = warmup
        self._total = total

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0: float32 []."""
        step = tf.cast(step, tf.float32)
        # The first and the last step have a rate above 0, so that no step is wasted.
        rising = (step + 1.0) / max(1, self._warmup)
        return self._peak * tf.where(step < self._warmup, rising, self._after(step))

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        """The share of the peak at a step after the warm-up: float32 []."""
        return tf.ones_like(step)

    def _share(self, step: tf.Tensor) -> tf.Tensor:
        """The share of the steps after the warm-up that are done, in [0, 1]."""
        share = (step - self._warmup) / max(1, self._total - self._warmup)
        return tf.clip_by_value(share, 0.0, 1.0)

    def get_config(self) -> dict[str, object]:
        """The arguments of the constructor, from which Keras rebuilds the schedule."""
        return {"peak": self._peak, "warmup": self._warmup, "total": self._total}


class WarmupCosine(Schedule):
    """Falls as half a cosine to zero (arXiv 1608.03983, equation 5)."""

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        return 0.5 * (1.0 + tf.cos(math.pi * self._share(step)))


class WarmupPolynomial(Schedule):
    """Falls as a power of the share of steps that are left, to zero.

    Args:
        peak: the rate after the warm-up.
        warmup: steps of it.
        total: steps of the run.
        power: 1 falls linearly; insightface's recipes take 2.
    """

    def __init__(self, peak: float, warmup: int, total: int, power: float) -> None:
        super().__init__(peak, warmup, total)
        self._power = power

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        return (1.0 - self._share(step)) ** self._power

    def get_config(self) -> dict[str, object]:
        """The arguments of the constructor."""
        return {**super().get_config(), "power": self._power}


class WarmupSteps(Schedule):
    """Is multiplied by a factor at each milestone.

    Args:
        peak: the rate after the warm-up.
        warmup: steps of it.
        total: steps of the run.
        milestones: steps, counted from 0, from which on the rate is lower.
        factor: what the rate is multiplied by at each.
    """

    def __init__(
        self, peak: float, warmup: int, total: int, milestones: Sequence[int], factor: float
    ) -> None:
        super().__init__(peak, warmup, total)
        self._milestones = list(milestones)
        self._factor = factor

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        passed = tf.add_n([tf.cast(step >= one, tf.float32) for one in self._milestones])
        return self._factor**passed

    def get_config(self) -> dict[str, object]:
        """The arguments of the constructor."""
        own = {"milestones": self._milestones, "factor": self._factor}
        return {**super().get_config(), **own}


class Rising(Schedule):
    """Rises from one rate to another by the same factor each step, for a range test.

    Args:
        low: the rate of the first step.
        high: the rate of the last one.
        total: steps, 2 or more.
    """

    def __init__(self, low: float, high: float, total: int) -> None:
        super().__init__(low, 0, total)
        self._factor = math.log(high / low)

    def _after(self, step: tf.Tensor) -> tf.Tensor:
        return tf.exp(self._factor * tf.minimum(step / (self._total - 1), 1.0))

    def get_config(self) -> dict[str, object]:
        """The arguments of the constructor."""
        high = self._peak * math.exp(self._factor)
        return {"low": self._peak, "high": high, "total": self._total}


def build(recipe: Recipe, epoch_steps: int, total: int) -> Schedule:
    """The schedule that a recipe asks for.

    Args:
        recipe: its rate, schedule, warm-up, milestones, factor and power are used.
        epoch_steps: steps of an epoch, in which warm-up and milestones are counted.
        total: steps of the run.
    """
    peak, warmup = recipe.learning_rate, round(recipe.warmup_epochs * epoch_steps)
    if recipe.schedule == "constant":
        return Schedule(peak, warmup, total)
    if recipe.schedule == "step":
        milestones = [round(epoch * epoch_steps) for epoch in recipe.milestones]
        return WarmupSteps(peak, warmup, total, milestones, recipe.step_factor)
    if recipe.schedule == "polynomial":
        return WarmupPolynomial(peak, warmup, total, recipe.power)
    return WarmupCosine(peak, warmup, total)
