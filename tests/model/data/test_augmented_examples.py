"""Examples of the augmentation have the pixels that training sees, the same in every run."""

import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import augmented_examples, tfdata
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.recipe import Recipe

RECIPE = Recipe(flip=True, crop=0.2, color_jitter=0.3, erase=0.5, batch_size=1)


@pytest.fixture(scope="module")
def examples(dataset, manifest):
    return augmented_examples.read(str(dataset), manifest, RECIPE, images=3, epochs=2)


@pytest.mark.moderate
def test_examples_are_what_training_sees_in_the_first_epochs(dataset, manifest, examples):
    transform = Transform(str(dataset), manifest)
    for epoch in range(2):
        batches = tfdata.batches(str(dataset), manifest, transform, RECIPE, epoch)
        seen = {np.rint(pixels.numpy()[0]).astype(np.uint8).tobytes() for pixels, _, _ in batches}
        for example in examples:
            assert example.augmented[epoch].tobytes() in seen


def test_examples_show_different_identities_and_are_the_same_in_every_run(
    dataset, manifest, examples
):
    assert len({example.image_id.split("/")[0] for example in examples}) == 3
    again = augmented_examples.read(str(dataset), manifest, RECIPE, images=3, epochs=2)
    for one, other in zip(examples, again, strict=True):
        assert one.image_id == other.image_id
        np.testing.assert_array_equal(one.augmented, other.augmented)


def test_without_augmentation_the_stored_pixels_are_shown(dataset, manifest):
    plain = Recipe(flip=False, crop=0.0, color_jitter=0.0, erase=0.0)
    (example,) = augmented_examples.read(str(dataset), manifest, plain, images=1, epochs=1)
    np.testing.assert_array_equal(example.augmented[0], example.stored)
    size = manifest["options"]["image_size"]
    assert example.stored.shape == (size, size, 3)
    assert example.stored.dtype == np.uint8


def test_a_split_of_few_identities_has_few_examples(dataset, manifest):
    identities = manifest["splits"]["train"]["identities"]
    found = augmented_examples.read(str(dataset), manifest, RECIPE, images=1000, epochs=1)
    assert 1 <= len(found) <= identities
    assert len(found) == len({tf.compat.as_str(one.image_id).split("/")[0] for one in found})
