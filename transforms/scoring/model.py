"""The RunInference handler over an exported model."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler

from transforms import artifact
from transforms.errors import RunError
from transforms.scoring.read import Batch
from transforms.scoring.rows import Failure, Scored

Result = Scored | Failure


class ModelHandlerForBatches(ModelHandler[Batch, list[Result], Any]):
    """Batch -> one `Scored` or `Failure` for each of its images, in order.

    An element is a batch of images, so Beam's own batching has nothing to add. Every call of the
    model takes exactly `batch_size` images, the last one filled up with its first image: how
    TensorFlow divides the work, and with it the last bits of a result, then never depends on how
    many images there are.

    Args:
        path: of the model artifact.
        model_id: that its manifest must have.
        batch_size: images in one call of the model.
    """

    def __init__(self, path: str, model_id: str, batch_size: int) -> None:
        super().__init__()
        self._path = path
        self._model_id = model_id
        self._batch_size = batch_size

    def load_model(self) -> Any:
        """Loads the SavedModel.

        Raises:
            RunError: another model lies there now than the job was started with.
        """
        manifest = artifact.read_manifest(self._path, "model")
        if manifest["model_id"] != self._model_id:
            raise RunError(
                f"--model must not change while a job runs, but {self._path} holds another model "
                "now; run the command again."
            )
        return tf.saved_model.load(os.path.join(self._path, "saved_model"))

    def run_inference(
        self, batch: Sequence[Batch], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterable[list[Result]]:
        """One list of results for each element."""
        del inference_args
        return [self._results(one, model) for one in batch]

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """One element at a time: it is a batch itself."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def _results(self, batch: Batch, model: Any) -> list[Result]:
        results: list[Result] = []
        for start in range(0, len(batch.refs), self._batch_size):
            part = slice(start, start + self._batch_size)
            encoded, refs = batch.encoded[part], batch.refs[part]
            try:
                vectors: list[np.ndarray | str] = list(self._embed(encoded, model))
            except tf.errors.OpError:
                # One image that TensorFlow cannot read must not take the others with it.
                vectors = [self._embed_alone(one, model) for one in encoded]
            for ref, vector in zip(refs, vectors, strict=True):
                if isinstance(vector, str):
                    results.append(Failure(ref.image_id, ref.path, vector))
                else:
                    data = vector.astype("<f4").tobytes()
                    results.append(Scored(ref.image_id, ref.path, ref.identity, data))
        return results

    def _embed_alone(self, encoded: bytes, model: Any) -> np.ndarray | str:
        try:
            vector = self._embed([encoded], model)[0]
        except tf.errors.OpError as error:
            return f"the model cannot read it: {error.message.splitlines()[0][:200]}"
        return vector

    def _embed(self, encoded: list[bytes], model: Any) -> np.ndarray:
        """float32 [len(encoded), D]."""
        filled = encoded + encoded[:1] * (self._batch_size - len(encoded))
        output = model.signatures["serving_default"](image_bytes=tf.constant(filled))
        vectors = output["embedding"].numpy()[: len(encoded)]
        if not np.isfinite(vectors).all():
            raise tf.errors.InternalError(None, None, "the embedding is not finite")
        return vectors
