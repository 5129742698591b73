"""The RunInference handler for an exported model."""

import os
import re
import resource
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference import base

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.tensorflow_threads import bound_tensorflow_threads
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.read import Batch
from facemill.transforms.scoring.rows import Failure, Result, Scored

_SAVED_MODEL = "saved_model"
_NOISE = re.compile(r"\[\[.*|\[Op:.*|\{\{.*?\}\}|Hint: .*")
_NOT_FINITE = Reason(ReasonCode.NOT_FINITE, "its embedding is not finite")


class ModelHandlerForBatches(base.ModelHandler[Batch, list[Result], Any]):
    """Batch -> one `Scored` or `Failure` for each of its images, in order.

    An element is a batch of images, so Beam does not batch elements further. Every call of the
    model takes exactly `batch_size` images; the last call is padded with its first image. So how
    TensorFlow divides the work, and with it the last bits of a result, never depends on the number
    of images.

    If an image is bad, the model raises an invalid argument error or returns an embedding that is
    not finite. Every other error is a fault of the machine and fails the bundle.

    Args:
        path: path of the model artifact.
        fingerprint: fingerprint of its manifest when the job was started.
        batch_size: images in one call of the model.
    """

    def __init__(self, path: str, fingerprint: str, batch_size: int) -> None:
        super().__init__()
        self._path = path
        self._fingerprint = fingerprint
        self._batch_size = batch_size

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A worker process unpickles the handler before it loads the model. Beam imports `resource`
        # and PyTorch in one `try`, so without PyTorch it treats both as absent: it would warn twice
        # in every worker process and measure no memory.
        self.__dict__.update(state)
        base.resource = resource

    def load_model(self) -> Any:
        """Loads the SavedModel after checking its files; called once in each worker process.

        Raises:
            RunError: the model at the path is not the one that the job was started with, or its
                files differ from its manifest.
            UsageError: there is no model at the path.
        """
        manifest = artifact.read_manifest(self._path, "model")
        if artifact.fingerprint(manifest) != self._fingerprint:
            raise RunError(
                f"`model` must not change while a job runs, but {self._path} holds another model "
                "now; run the command again."
            )
        path = artifact.local_copy(self._path, manifest, f"{_SAVED_MODEL}/")
        folder = os.path.join(path, _SAVED_MODEL)
        for unlisted in artifact.unlisted_files(path, manifest["files"], _SAVED_MODEL):
            raise RunError(
                f"{folder} must hold the files of its manifest only, got "
                f"{unlisted.removeprefix(f'{_SAVED_MODEL}/')} too; train the model again."
            )
        bound_tensorflow_threads()
        return tf.saved_model.load(folder)

    def run_inference(
        self, batch: Sequence[Batch], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterable[list[Result]]:
        """One list of results for each element.

        Args:
            batch: elements, each with its images.
            model: what `load_model` returned.
            inference_args: ignored.

        Raises:
            RunError: TensorFlow fails for another reason than a bad image.
        """
        del inference_args
        return [self._results(one, model) for one in batch]

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """One element at a time: it is a batch itself."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def _results(self, batch: Batch, model: Any) -> list[Result]:
        encoded = [image.encoded for image in batch.images]
        vectors: list[np.ndarray | Reason] = []
        for start in range(0, len(encoded), self._batch_size):
            vectors += self._embed(encoded[start : start + self._batch_size], model)
        results: list[Result] = []
        for ref, image, vector in zip(batch.refs, batch.images, vectors, strict=True):
            if isinstance(vector, Reason):
                results.append(Failure(ref.image_id, ref.path, vector, image.sha256))
            else:
                data = vector.astype("<f4").tobytes()
                row = (ref.image_id, ref.path, ref.identity, image.measures, data, image.sha256)
                results.append(Scored(*row))
        return results

    def _embed(self, encoded: list[bytes], model: Any) -> list[np.ndarray | Reason]:
        """The embedding of each of at most `batch_size` JPEGs, float32 [D], or a reason."""
        try:
            vectors = self._call(encoded, model)
        except tf.errors.InvalidArgumentError as error:
            if len(encoded) == 1:
                text = f"the model cannot read it: {_message(error)}"
                return [Reason(ReasonCode.MODEL_FAILED, text)]
            # One image that TensorFlow cannot read must not fail the others. Bisection finds it in
            # fewer calls than single images would.
            half = len(encoded) // 2
            return self._embed(encoded[:half], model) + self._embed(encoded[half:], model)
        except tf.errors.OpError as error:
            raise RunError(
                f"The model must work on this machine, but TensorFlow failed ({_message(error)}); "
                "mend that, or lower `batch_size` where memory is short."
            ) from None
        finite = np.isfinite(vectors).all(axis=1)
        return [
            vector if good else _NOT_FINITE for vector, good in zip(vectors, finite, strict=True)
        ]

    def _call(self, encoded: list[bytes], model: Any) -> np.ndarray:
        """float32 [len(encoded), D]."""
        filled = encoded + encoded[:1] * (self._batch_size - len(encoded))
        output = model.signatures["serving_default"](image_bytes=tf.constant(filled))
        return output["embedding"].numpy()[: len(encoded)]


def _message(error: tf.errors.OpError) -> str:
    """The message of an error in one line that is equal in every process."""
    # The message is the last line without hints and names of graph nodes, whose numbers depend on
    # what the process loaded before.
    lines = (_NOISE.sub("", line).strip() for line in error.message.splitlines())
    kept = [line for line in lines if line] or [type(error).__name__]
    return kept[-1][:200].rstrip(".")
