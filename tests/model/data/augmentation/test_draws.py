import numpy as np
import tensorflow as tf

from facemill.model.data.augmentation.draws import count, divided, draw
from facemill.model.recipes.recipe import Recipe

OLD = Recipe(flip=True, crop=0.2, color_jitter=0.2, erase=0.3)
NEW = Recipe(rotate=10.0, rand_augment=2)


def test_the_random_numbers_of_a_record_follow_from_epoch_image_and_copy():
    def of(epoch: int, image: str, copy: int) -> tuple[float, ...]:
        return tuple(draw(epoch, tf.constant(image), tf.constant(copy, tf.int64), OLD).numpy())

    keys = [(e, i, c) for e in (0, 5, 2**31 - 1) for i in ("a", "b/c.jpg", "é") for c in range(4)]
    drawn = [of(*key) for key in keys]
    assert [of(*key) for key in keys] == drawn
    numbers = np.array(drawn)
    assert numbers.shape == (36, count(OLD))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # No two of 540 numbers are the same, though each record's come from the same generator.
    assert len(np.unique(numbers)) > 530
    # Uniform: 540 of them have a mean within this of one half but for a chance below 1e-6.
    assert abs(numbers.mean() - 0.5) < 0.0622


def test_a_record_draws_the_same_inside_tf_data():
    def one(image: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
        return draw(3, image, copy, NEW)

    rows = tf.data.Dataset.from_tensor_slices((["a", "b"], tf.constant([0, 2], tf.int64)))
    inside = [row.numpy() for row in rows.map(one)]
    eager = [one(image, copy) for image, copy in rows]
    np.testing.assert_array_equal(inside, eager)


def test_operations_that_are_added_do_not_change_the_numbers_of_the_others():
    one = tf.constant("a"), tf.constant(1, tf.int64)
    old, new = draw(5, *one, OLD), draw(5, *one, NEW)
    assert (len(old), len(new)) == (count(OLD), count(NEW)) == (15, 15 + 7 + 2 * 7)
    np.testing.assert_array_equal(new[:15], old)
    # As every version has drawn them.
    seed = tf.stack([tf.constant(5, tf.int64), tf.strings.to_hash_bucket_fast("a", 2**63 - 1)])
    expected = tf.random.stateless_uniform([15], tf.random.fold_in(seed, one[1]))
    np.testing.assert_array_equal(old, expected)


def test_each_family_has_numbers_of_its_own():
    drawn = tf.range(count(NEW), dtype=tf.float32)[tf.newaxis]
    parts = divided(drawn, NEW)
    assert list(parts)[:3] == ["flip_and_crop", "color_jitter", "erase"]
    assert list(parts)[-2:] == ["random_0", "random_1"]
    np.testing.assert_array_equal(np.concatenate(list(parts.values()), axis=1), drawn)
