"""Bounds the threads that TensorFlow starts in a worker."""

from contextlib import suppress

from facemill.transforms.core import cores


def bound_tensorflow_threads() -> None:
    """Gives TensorFlow as many threads as the quota of CPU time allows; without one, does nothing.

    TensorFlow starts a thread for each core that it sees, and a container sees all cores of its
    machine. Where TensorFlow has begun to compute already, its threads stay as they are.
    """
    limit = cores.quota()
    if limit is None:
        return
    import tensorflow as tf

    threading = tf.config.threading
    with suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(min(limit, cores.usable()))
        threading.set_inter_op_parallelism_threads(min(limit, cores.usable()))
