"""Which devices share each batch."""

import tensorflow as tf
from tensorflow.python.eager import context

from facemill.model.training.cluster import Cluster
from facemill.transforms.core.errors import ParameterError, RunError


def count_replicas(
    cpu_replicas: int, batch_size: int, accumulate: int = 1, workers: int = 1
) -> int:
    """How many devices share each batch: all GPUs if there are any, else logical CPU devices.

    Args:
        cpu_replicas: requested number of logical CPU devices.
        batch_size: images per step.
        accumulate: parts of each replica's share of a batch.
        workers: processes that train together, each with as many devices.

    Raises:
        UsageError: `cpu_replicas` is above 1 on a machine with GPUs or with several workers, or
            the batch is not divisible.
    """
    if workers > 1 and cpu_replicas > 1:
        raise ParameterError(
            "cpu_replicas",
            cpu_replicas,
            must="be 1 where several workers share each batch",
            do="leave it out, or start more workers",
        )
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus and cpu_replicas > 1:
        raise ParameterError(
            "cpu_replicas",
            cpu_replicas,
            must="be 1 where TensorFlow has GPUs",
            got=f"{cpu_replicas} beside {gpus}",
            do="leave it out, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1",
        )
    count = (gpus or cpu_replicas) * workers
    if batch_size % count:
        what = "the GPUs that share it" if gpus else "`cpu_replicas`"
        if workers > 1:
            what = "the GPUs of all workers" if gpus else "the number of workers"
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


def join(cluster: Cluster) -> tf.distribute.Strategy:
    """MultiWorkerMirroredStrategy over the devices of all workers, which all call it.

    It waits for the others. A collective operation has no time limit, since the others wait in one
    while the chief validates: `abort` ends it.

    Call it before TensorFlow initializes a device.

    Args:
        cluster: all workers; all have as many GPUs, or none.

    Raises:
        RunError: TensorFlow has initialized its devices already, or its server does not start.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.hosts)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": gpus} if gpus else {},
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except RuntimeError:
        raise RunError(
            "Workers must be named before TensorFlow starts, but it runs already in this process; "
            "use a new one."
        ) from None
    except tf.errors.UnknownError as error:
        raise RunError(
            f"TensorFlow must get the port of {cluster.name(cluster.index)}, but its server did "
            f"not start ({error.message.splitlines()[0][:200]}); give another port on all workers."
        ) from None


def abort(sentence: str) -> None:
    """Ends the collective operation that this process waits in, and refuses any other.

    TensorFlow has no public name for this; its own check of the other workers calls it too.

    Args:
        sentence: the reason.
    """
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, sentence)
