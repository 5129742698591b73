"""How workers divide the batches of a run: each takes one slice of every batch."""

from facemill.transforms.core.errors import ParameterError


def share(batch_size: int, worker: int, workers: int) -> slice:
    """The images of each global batch that a worker trains on.

    Slices of all workers, in the order of the workers, are the batch. So the result is the same
    for any number of workers, where dividing files among them would give each other batches.

    Args:
        batch_size: images of a global batch.
        worker: index of the worker, from 0 on.
        workers: how many there are.

    Raises:
        ParameterError: the batch cannot be divided evenly, or there is no such worker.
    """
    if not 0 <= worker < workers:
        raise ParameterError(
            "worker_index", worker, must=f"be 0 to {workers - 1}", do="give this worker's own"
        )
    if batch_size % workers:
        raise ParameterError(
            "batch_size",
            batch_size,
            must=f"be a multiple of the number of workers ({workers})",
            do="change one of them",
        )
    each = batch_size // workers
    return slice(worker * each, (worker + 1) * each)
