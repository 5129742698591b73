"""Which devices share each batch."""

import tensorflow as tf

from facemill.transforms.core.errors import ParameterError, RunError


def count_replicas(cpu_replicas: int, batch_size: int, accumulate: int = 1) -> int:
    """How many devices share each batch: all GPUs if there are any, else logical CPU devices.

    Args:
        cpu_replicas: requested number of logical CPU devices.
        batch_size: images per step.
        accumulate: parts of each replica's share of a batch.

    Raises:
        UsageError: `cpu_replicas` is above 1 on a machine with GPUs, or the batch is not divisible.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus and cpu_replicas > 1:
        raise ParameterError(
            "cpu_replicas",
            cpu_replicas,
            must="be 1 where TensorFlow has GPUs",
            got=f"{cpu_replicas} beside {gpus}",
            do="leave it out, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1",
        )
    count = gpus or cpu_replicas
    if batch_size % count:
        what = "the GPUs that share it" if gpus else "`cpu_replicas`"
        raise ParameterError(
            "batch_size",
            batch_size,
            must=f"be a multiple of {what} ({count})",
            do="change one of them",
        )
    if batch_size % (count * accumulate):
        raise ParameterError(
            "batch_size",
            batch_size,
            must=f"be a multiple of the replicas ({count}) times `accumulate` ({accumulate})",
            do="change one of them",
        )
    return count


def replicas(count: int) -> tf.distribute.Strategy:
    """MirroredStrategy over all GPUs, or over `count` logical devices of the CPU.

    Call it before TensorFlow initializes a device.

    Args:
        count: the result of `count_replicas`.

    Raises:
        RunError: TensorFlow has initialized its devices already.
    """
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy([f"/gpu:{index}" for index in range(count)])
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:
        raise RunError(
            "`cpu_replicas` must be set before TensorFlow starts, but it runs already in this "
            "process; use a new one."
        ) from None
    return tf.distribute.MirroredStrategy([f"/cpu:{index}" for index in range(count)])
