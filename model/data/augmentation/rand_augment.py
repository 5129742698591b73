"""RandAugment (Cubuk et al. 2020, arXiv 1909.13719, section 3): N operations of one magnitude.

Each operation is drawn from OPERATIONS with equal chance. They are those of this package, since
what faces suffer (low resolution, compression) is not among the paper's fourteen. Like there, the
magnitude is from 0 (next to no change) to 10, on a linear scale, and has a random sign where the
operation has two directions.
"""

from collections.abc import Callable

import tensorflow as tf

from facemill.model.data.augmentation import color, erasing, geometry, quality

LARGEST_MAGNITUDE = 10.0

# Each takes an image [1, S, S, 3], the magnitude as a share of the largest, and 6 random numbers.
_Operation = Callable[[tf.Tensor, float, tf.Tensor], tf.Tensor]


def _signed(strength: float, draws: tf.Tensor) -> tf.Tensor:
    """float32 [1]: the strength, with a random sign."""
    return tf.where(draws[:1] < 0.5, -strength, strength)


def _rotate(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    return geometry.rotate(image, _signed(30.0 * share, draws))


def _crop(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    # The first number of a crop says how much of the largest crop is taken.
    numbers = tf.concat([tf.ones([1]), draws[1:3], tf.zeros([1])], axis=0)
    return geometry.flip_and_crop(image, False, 0.3 * share, numbers[tf.newaxis])


def _brightness(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    return image * (1.0 + _signed(0.6 * share, draws))


def _contrast(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(image)
    return (image - mean) * (1.0 + _signed(0.6 * share, draws)) + mean


def _saturation(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    return color.hue_and_saturation(image, tf.zeros([1]), 1.0 + _signed(0.9 * share, draws))


def _hue(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    return color.hue_and_saturation(image, _signed(0.1 * share, draws), tf.ones([1]))


def _blur(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    del draws
    # A share of the side, as the magnitude must not depend on the size of the image.
    return quality.blur(image, tf.constant([0.03 * share * image.shape[1]]))


def _low_resolution(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    del draws
    return quality.low_resolution(image, tf.constant([1.0 - 0.8 * share]))


def _jpeg(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    del draws
    return quality.jpeg(image, tf.constant([round(95 - 85 * share)]))


def _erase(image: tf.Tensor, share: float, draws: tf.Tensor) -> tf.Tensor:
    return erasing.cover(image, 1.0, 0.4 * share, 0.5 * share, draws[tf.newaxis])


OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, share, draws: image,
    "rotate": _rotate,
    "crop": _crop,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "blur": _blur,
    "low_resolution": _low_resolution,
    "jpeg": _jpeg,
    "erase": _erase,
}


def chosen(draws: tf.Tensor) -> tf.Tensor:
    """int32 [N]: numbers of the operations that random numbers [N] in [0, 1) stand for."""
    count = len(OPERATIONS)
    return tf.minimum(tf.cast(draws * count, tf.int32), count - 1)


def apply_one(images: tf.Tensor, magnitude: float, draws: tf.Tensor) -> tf.Tensor:
    """Applies one drawn operation to each image.

    Args:
        images: float32 [N, S, S, 3], in [0, 255].
        magnitude: 0 to 10.
        draws: float32 [N, 7], in [0, 1): the first chooses the operation.

    Returns:
        float32 [N, S, S, 3], in [0, 255].
    """
    share = magnitude / LARGEST_MAGNITUDE

    def one(row: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, which, numbers = row

        def branch(operation: _Operation) -> Callable[[], tf.Tensor]:
            return lambda: operation(image[tf.newaxis], share, numbers)[0]

        return tf.switch_case(which, [branch(operation) for operation in OPERATIONS.values()])

    changed = tf.map_fn(
        one,
        (images, chosen(draws[:, 0]), draws[:, 1:]),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
    )
    return tf.clip_by_value(changed, 0.0, 255.0)
