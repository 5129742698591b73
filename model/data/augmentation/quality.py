"""What cameras, small faces and compression do to an image: blur, low resolution, JPEG."""

import tensorflow as tf

_SMALLEST_SIGMA = 1e-2


def blur(images: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Gaussian blur; at the border the weights inside are normalized.

    Args:
        images: float32 [N, S, S, 3].
        sigma: float32 [N], standard deviation in pixels, 0 or more.
    """
    position = tf.range(images.shape[1], dtype=tf.float32)
    distance = position[:, tf.newaxis] - position[tf.newaxis]
    width = tf.maximum(sigma, _SMALLEST_SIGMA)[:, tf.newaxis, tf.newaxis]
    weights = tf.exp(-0.5 * tf.square(distance / width))
    return _resampled(images, weights / tf.reduce_sum(weights, axis=2, keepdims=True))


def low_resolution(images: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Shrinks each image by averaging over areas, and enlarges it bilinearly to its size.

    Args:
        images: float32 [N, S, S, 3].
        share: float32 [N], of the side that is left, in (0, 1]; rounded to pixels, one or more.
    """
    size = images.shape[1]
    side = tf.maximum(tf.round(share * size), 1.0)[:, tf.newaxis, tf.newaxis]
    position = tf.range(size, dtype=tf.float32)
    # Row i of a small image is the mean over the rows of the large one from i to i + 1 times step.
    step = size / side
    first = position[:, tf.newaxis] * step
    covered = tf.minimum(first + step, position + 1.0) - tf.maximum(first, position)
    shrinking = tf.maximum(covered, 0.0) / step
    # Where the center of each pixel of the large image lies among those of the small one.
    center = tf.clip_by_value((position[:, tf.newaxis] + 0.5) / step - 0.5, 0.0, side - 1.0)
    enlarging = tf.maximum(0.0, 1.0 - tf.abs(center - position))
    return _resampled(images, enlarging @ shrinking)


def jpeg(images: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Encodes and decodes each image as JPEG.

    Args:
        images: float32 [N, S, S, 3].
        quality: int32 [N], from 1 to 99; an image of 100 is left as it is.

    Returns:
        float32 [N, S, S, 3], in [0, 255].
    """

    def one(image_and_quality: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, at = image_and_quality

        def encoded() -> tf.Tensor:
            pixels = tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
            content = tf.raw_ops.EncodeJpegVariableQuality(images=pixels, quality=at)
            decoded = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
            return tf.ensure_shape(tf.cast(decoded, tf.float32), image.shape)

        return tf.cond(at < 100, encoded, lambda: image)

    return tf.map_fn(
        one,
        (images, quality),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
    )


def _resampled(images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Rows and columns of each image, replaced by weighted sums of its rows and columns.

    Args:
        images: float32 [N, S, S, 3].
        weights: float32 [N, S, S].
    """
    rows = tf.einsum("nij,njkc->nikc", weights, images)
    return tf.einsum("nij,nkjc->nkic", weights, rows)
