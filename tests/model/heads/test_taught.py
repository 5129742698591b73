import keras
import numpy as np
import pytest
import tensorflow as tf

from facemill.model.heads import registry
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError

EMBEDDINGS = tf.random.stateless_normal([5, 8], (1, 2))
LABELS = tf.constant([0, 1, 2, 0, 5])


def built(recipe: Recipe, target_size: int):
    keras.utils.set_random_seed(1)
    head = registry.build(recipe, 6, target_size)
    head.build((None, 8))
    return head


def test_a_teacher_of_the_same_length_is_compared_as_it_is():
    targets = tf.random.stateless_normal([5, 8], (3, 4))
    for name in ("mse", "cosine"):
        head = built(Recipe(head=name), 8)
        assert head.needs_targets
        assert head.variables == []
        alone = registry.teaching(name).losses(EMBEDDINGS, LABELS, targets=targets)
        np.testing.assert_array_equal(head.losses(EMBEDDINGS, LABELS, targets=targets), alone)


def test_a_teacher_of_another_length_is_compared_with_a_projection():
    targets = tf.random.stateless_normal([5, 3], (3, 4))
    head = built(Recipe(head="mse"), 3)
    (kernel,) = head.trainable_variables
    assert kernel.shape == (8, 3)
    expected = np.mean((EMBEDDINGS.numpy() @ kernel.numpy() - targets.numpy()) ** 2, axis=1)
    found = head.losses(EMBEDDINGS, LABELS, targets=targets)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_beside_a_head_of_identities_the_losses_are_added_by_weight():
    targets = tf.random.stateless_normal([5, 8], (3, 4))
    recipe = Recipe(head="cosface", teacher_weight=2.5, teacher_loss="mse")
    head = built(recipe, 8)
    keras.utils.set_random_seed(1)
    alone = registry.build(Recipe(head="cosface"), 6)
    alone.build((None, 8))
    taught = registry.teaching("mse").losses(EMBEDDINGS, LABELS, targets=targets)
    np.testing.assert_allclose(
        head.losses(EMBEDDINGS, LABELS, targets=targets),
        alone.losses(EMBEDDINGS, LABELS) + 2.5 * taught,
        rtol=1e-5,
    )
    # The margin of the inner head can rise, and no weight is there twice.
    assert head.margin_share is not None
    assert len(head.variables) == len(alone.variables) == len({one.path for one in head.variables})


@pytest.mark.parametrize(
    ("recipe", "target_size", "said"),
    [
        (Recipe(head="cosine"), None, "`head` must come with `teacher`"),
        (Recipe(), 8, "`teacher_weight` must be above 0 where a teacher is given beside"),
        (Recipe(teacher_weight=1.0), None, "`teacher_weight` must be 0 without `teacher`"),
    ],
)
def test_a_recipe_that_does_not_go_with_the_teacher_is_refused(recipe, target_size, said):
    with pytest.raises(ParameterError, match=said):
        registry.build(recipe, 6, target_size)


def test_a_weight_beside_a_head_that_learns_from_the_teacher_alone_is_refused():
    with pytest.raises(ParameterError, match="`teacher_weight` must be 0 with the head mse"):
        Recipe(head="mse", teacher_weight=1.0)
