"""From crops to embeddings by any runtime: the input as the network wants it, calls of one size."""

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facemill.model.runtimes.base import Runtime
from facemill.model.runtimes.choices import COLORS, LAYOUTS
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.scoring.refused import ImageRefusedError


class ImageEmbedder:
    """A function from crops to embeddings; any number of threads may call it.

    Every call of the network takes the same number of images: the last one is filled up with its
    first image. So the last bits of a result never depend on the number of images.

    Args:
        runtimes: one loaded network for each call at a time.
        spec: how the network is called.
        batch: images in each call of the network.
        embedding_size: D, or None for whatever the first call gives.
    """

    def __init__(
        self,
        runtimes: Sequence[Runtime],
        spec: RuntimeSpec,
        batch: int,
        embedding_size: int | None,
    ) -> None:
        self._spec = spec
        self._batch = batch
        self._size = embedding_size
        self._mean = np.array(spec.mean, np.float32)
        self._scale = np.array(spec.scale, np.float32)
        self._idle: queue.SimpleQueue[Runtime] = queue.SimpleQueue()
        for one in runtimes:
            self._idle.put(one)
        # The runtimes release the GIL while they compute.
        self._pool = ThreadPoolExecutor(len(runtimes)) if len(runtimes) > 1 else None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The embeddings of crops.

        Args:
            pixels: uint8 [N, S, S, 3], RGB, N from 1 on.

        Returns:
            float32 [N, D]; a row that is not finite has no embedding.

        Raises:
            ImageRefusedError: an image makes the network fail or give another shape.
            RunError: the machine does.
        """
        calls = [pixels[i : i + self._batch] for i in range(0, len(pixels), self._batch)]
        if self._pool is None or len(calls) == 1:
            found = [self._embed(one) for one in calls]
        else:
            found = list(self._pool.map(self._embed, calls))
        return np.concatenate(found)

    def _embed(self, pixels: np.ndarray) -> np.ndarray:
        filled = pixels
        if len(pixels) < self._batch:
            fill = np.repeat(pixels[:1], self._batch - len(pixels), axis=0)
            filled = np.concatenate([pixels, fill])
        runtime = self._idle.get()
        try:
            output = runtime(network_input(filled, self._spec, self._mean, self._scale))
        finally:
            self._idle.put(runtime)
        vectors = self._checked(output)[: len(pixels)]
        return normalized(vectors) if self._spec.normalize else vectors

    def _checked(self, output: np.ndarray) -> np.ndarray:
        """The output as float32 [batch, D]; sizes of 1 behind the first, as in [N, 1, 1, D], go."""
        shape = np.shape(output)
        wanted = (self._batch, *(size for size in shape[1:] if size != 1))
        if len(wanted) == 1 and len(shape) > 1:
            wanted = (*wanted, 1)
        if len(wanted) != 2 or shape[:1] != wanted[:1] or self._size not in (None, wanted[1]):
            size = "D" if self._size is None else str(self._size)
            raise ImageRefusedError(
                Reason(
                    ReasonCode.WRONG_SHAPE,
                    f"the model gives an output of shape {list(shape)} and not "
                    f"[{self._batch}, {size}]",
                )
            )
        self._size = wanted[1]
        return np.asarray(output, np.float32).reshape(wanted)


def network_input(
    pixels: np.ndarray, spec: RuntimeSpec, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Crops as the network wants them: (sample - mean) * scale, in its order of channels and axes.

    Args:
        pixels: uint8 [N, S, S, 3], RGB.
        spec: color, layout and type.
        mean: float32 [3].
        scale: float32 [3].

    Returns:
        An array of the type of the spec, [N, S, S, 3] or [N, 3, S, S].
    """
    if spec.color == COLORS[1]:
        pixels = pixels[..., ::-1]
    if spec.layout == LAYOUTS[1]:
        pixels = pixels.transpose(0, 3, 1, 2)
        mean, scale = mean[:, None, None], scale[:, None, None]
    if spec.dtype in ("float32", "float16"):
        samples = (pixels.astype(np.float32) - mean) * scale
        return np.ascontiguousarray(samples, np.dtype(spec.dtype))
    samples = np.rint((pixels.astype(np.float32) - mean) * scale)
    limits = np.iinfo(spec.dtype)
    return np.ascontiguousarray(np.clip(samples, limits.min, limits.max).astype(spec.dtype))


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors float32 [N, D] divided by their length; not finite where that is 0."""
    # In double precision, so that the sum of large outputs is finite.
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (vectors / lengths).astype(np.float32)
