"""Margin and scale of the head, which may rise over the first steps of a run."""

from typing import Any

import keras
import tensorflow as tf

from facemill.model.heads.base import Head
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError


class Warmups:
    """Assigns the head's shares of margin and scale before each step.

    The margin rises linearly from 0. The scale rises linearly from the head's `lowest_scale_share`,
    see `model.heads.margin`.

    Args:
        head: of the run, built.
        recipe: its two warm-ups are used.
        epoch_steps: steps of an epoch, in which they are counted.

    Raises:
        ParameterError: the head has no margin or scale that rises.
    """

    def __init__(self, head: Head, recipe: Recipe, epoch_steps: int) -> None:
        if recipe.margin_warmup_epochs and head.margin_share is None:
            raise ParameterError(
                "margin_warmup_epochs",
                recipe.margin_warmup_epochs,
                must=f"be 0 for the head {recipe.head}, whose margin does not rise",
                do="leave it out or take another `head`",
            )
        if recipe.scale_warmup_epochs:
            self._check_scale(head, recipe)
        self._head = head
        self._margin_steps = round(recipe.margin_warmup_epochs * epoch_steps)
        self._scale_steps = round(recipe.scale_warmup_epochs * epoch_steps)

    def _check_scale(self, head: Head, recipe: Recipe) -> None:
        if head.scale_share is None:
            raise ParameterError(
                "scale_warmup_epochs",
                recipe.scale_warmup_epochs,
                must=f"be 0 for the head {recipe.head}, which has no scale",
                do="leave it out or take another `head`",
            )
        if head.lowest_scale_share >= 1:
            raise ParameterError(
                "scale_warmup_epochs",
                recipe.scale_warmup_epochs,
                must=f"be 0 where `scale` ({recipe.scale:g}) is not above the scale from which it "
                "would rise, sqrt(2) x ln(identities - 1)",
                do="leave it out or raise `scale`",
            )

    def assign(self, done: tf.Tensor) -> None:
        """Sets the shares of a step.

        Args:
            done: int64 [], steps before it.
        """
        if self._margin_steps:
            _value(self._head.margin_share).assign(rising(done, self._margin_steps))
        if self._scale_steps:
            share = rising(done, self._scale_steps, self._head.lowest_scale_share)
            _value(self._head.scale_share).assign(share)


def rising(done: tf.Tensor, steps: int, start: float = 0.0) -> tf.Tensor:
    """A share that rises linearly and is 1 from the last step of the warm-up on.

    Args:
        done: int64 [], steps done before.
        steps: of the warm-up, 1 or more.
        start: from which it rises, in [0, 1).

    Returns:
        float32 [], above `start` from the first step on.
    """
    share = tf.cast(done + 1, tf.float32) / steps
    return tf.where(done + 1 >= steps, 1.0, start + (1.0 - start) * share)


def _value(variable: Any) -> Any:
    """TensorFlow's variable of Keras's or TensorFlow's own."""
    return variable.value if isinstance(variable, keras.Variable) else variable
