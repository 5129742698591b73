"""Optimizers by name, all with weight decay that is decoupled and acts on kernels only."""

from collections.abc import Sequence

import keras

from facemill.model.heads import lazy_rows
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.precision import needs_loss_scaling

# AdamW is Adam with decoupled decay, and here that of every optimizer is decoupled. Keras's class
# of that name refuses to be without.
_CLASSES = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.Adam,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
}


def build(
    recipe: Recipe,
    rate: keras.optimizers.schedules.LearningRateSchedule,
    variables: Sequence[keras.Variable],
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, with its state for some variables.

    Gradient descent has no momentum; `sgd` has Nesterov's. Adam: arXiv 1412.6980; decoupled decay:
    arXiv 1711.05101; LAMB: arXiv 1904.00962; Lion: arXiv 2302.06675, with Keras's own coefficients.

    Args:
        recipe: its optimizer, momentum, decay and precision are used.
        rate: the learning rate by step.
        variables: what it will change.
    """
    decay = recipe.weight_decay or None
    if recipe.optimizer in _CLASSES:
        optimizer = _CLASSES[recipe.optimizer](rate, weight_decay=decay)
    else:
        momentum = recipe.momentum if recipe.optimizer == "sgd" else 0.0
        optimizer = keras.optimizers.SGD(
            rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay
        )
    # Only kernels decay; biases, PReLU slopes and BatchNorm scales do not.
    without_decay = [one for one in variables if not one.path.endswith("kernel")]
    optimizer.exclude_from_weight_decay(var_list=without_decay)
    if recipe.sample_identities < 1:
        lazy_rows.update_read_rows_alone(optimizer)
    if needs_loss_scaling(recipe.precision):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(list(variables))
    return optimizer
