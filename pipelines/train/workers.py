"""`facemill train` as one of several processes that train one model."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import keras
import tensorflow as tf

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import cluster as clusters
from facemill.model.training import find_rate, strategy
from facemill.model.training.cluster import Cluster
from facemill.model.training.crew import Crew
from facemill.model.training.link import Link
from facemill.model.training.meeting import meet
from facemill.model.training.trainer import Trainer
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.train.datasets import Datasets, data_of
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms import storage

_TF_CONFIG = "TF_CONFIG"
# How TensorFlow ends what waits for a worker that has gone.
_ABANDONED = (tf.errors.OpError,)


@dataclass(frozen=True)
class Workers:
    """All workers of a run, once they have met.

    Attributes:
        cluster: who they are, and which of them this process is.
        link: what keeps them together.
    """

    cluster: Cluster
    link: Link

    def strategy(self) -> tf.distribute.Strategy:
        """The strategy over all workers, which all make at once.

        Raises:
            RunError: one has failed.
        """
        before = signal.getsignal(signal.SIGTERM)
        made = self.link.unless_failed(lambda: strategy.join(self.cluster))
        # TensorFlow takes the signal as a warning that the machine will be taken away, and goes on.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
        self.link.call_on_failure(strategy.abort)
        return made


def cluster_of(options: TrainOptions) -> Cluster | None:
    """The cluster of the flags, or else of the environment; None for a process alone.

    Raises:
        UsageError: TF_CONFIG cannot be used.
    """
    if options.cluster is not None:
        return options.cluster if options.cluster.count > 1 else None
    text = os.environ.get(_TF_CONFIG, "")
    return clusters.from_tf_config(text) if text.strip() else None


@contextmanager
def together(
    cluster: Cluster | None, wanted: Mapping[str, Any], options: TrainOptions
) -> Iterator[Workers | None]:
    """Meets all workers, and reports to the others how the block ends here.

    Args:
        cluster: of this run, or None for a process alone.
        wanted: the options that change the result.
        options: of this worker.

    Raises:
        UsageError: a worker's port cannot be used, or workers are about to do different work.
        RunError: one did not come, or failed while the block ran.
    """
    if cluster is None:
        yield None
        return
    about = {
        **wanted,
        "facemill": metadata.version("facemill"),
        "tensorflow": tf.__version__,
        "find_learning_rate": options.find_learning_rate,
        "GPUs": len(tf.config.list_physical_devices("GPU")),
    }
    link = meet(cluster, about)
    print(f"this is {cluster.name(cluster.index)} of {cluster.count}", file=sys.stderr)
    with link.together(_ABANDONED):
        yield Workers(cluster, link)


def follow(
    workers: Workers,
    given: Datasets,
    recipe: Recipe,
    tests_rates: bool,
) -> None:
    """Trains with the chief, and waits until that has written the artifact.

    Args:
        workers: of which this process is not the chief.
        given: the datasets of the run.
        recipe: of the run.
        tests_rates: whether the run is a range test of learning rates.

    Raises:
        RunError: the run failed, here or elsewhere.
    """
    if not workers.link.ready():
        print(f"{workers.cluster.name(0)} finds the result complete.")
        return
    made = workers.strategy()
    tf.config.experimental.enable_op_determinism()
    data = data_of(given, given.load(), 0, recipe.seed).data
    crew = Crew(made, workers.cluster)
    # What TensorFlow writes on every worker; that of the chief is kept.
    folder = storage.make_temporary_folder()
    try:
        keras.utils.set_random_seed(recipe.seed)
        if tests_rates:
            find_rate.measure(data, recipe, made, folder, folder, crew)
        else:
            trainer = Trainer(data, recipe, made, folder, folder, crew=crew)
            trainer.restore()
            with Progress("steps trained", lambda: trainer.done, lambda: trainer.steps):
                trainer.run()
    finally:
        storage.remove(folder)
    print(f"{workers.cluster.name(0)} writes the result", file=sys.stderr)
    workers.link.wait()
