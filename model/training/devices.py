"""The memory of GPUs."""

import tensorflow as tf
from tensorflow.python.client import device_lib


def gpu_memory() -> int | None:
    """Bytes that TensorFlow may use on the smallest GPU; None where it has no GPU.

    TensorFlow's public functions tell what a GPU has used, and not what it has. Call this after the
    devices are configured, since it initializes them.
    """
    if not tf.config.list_physical_devices("GPU"):
        return None
    limits = [
        one.memory_limit for one in device_lib.list_local_devices() if one.device_type == "GPU"
    ]
    return min(limits) if limits else None
