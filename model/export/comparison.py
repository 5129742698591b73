"""How an exported file differs from the network, and what it costs beside the others."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from facemill.model.runtimes.formats import TOLERANCE

# Rounds in which all files are measured by turns; the least figure of each counts, since others
# use the machine too.
_ROUNDS = 5
# Calls of a small network take less than the clock can tell apart well.
_LEAST_SECONDS = 0.02
# After it, no further round begins.
_MOST_SECONDS = 60.0


@dataclass(frozen=True)
class Difference:
    """Between the embeddings of a file and those of the network.

    Attributes:
        largest: of a component of two vectors of length 1; infinite where one is not finite.
        least_cosine: between two embeddings of one image; -1 where one is not finite.
    """

    largest: float
    least_cosine: float

    @property
    def exact(self) -> bool:
        """Whether it is rounding in another order."""
        return self.largest <= TOLERANCE


def difference(found: np.ndarray, expected: np.ndarray) -> Difference:
    """Compares embeddings of the same images.

    Args:
        found: float32 [N, D], of a file.
        expected: float32 [N, D], of the network.
    """
    if not np.isfinite(found).all():
        return Difference(float("inf"), -1.0)
    largest = float(np.abs(found - expected).max())
    a, b = found.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(lengths, 1e-30)
    return Difference(largest, float(min(1.0, cosines.min())))


def cpu_milliseconds(
    calls: Mapping[str, Callable[[np.ndarray], np.ndarray]], pixels: np.ndarray
) -> dict[str, float]:
    """The CPU time of each call for an image: the latency in one thread that has a core to itself.

    CPU time of all threads of the process, since TensorFlow divides its work among some.

    Args:
        calls: from uint8 [N, S, S, 3] to embeddings, by name.
        pixels: uint8 [N, S, S, 3], given to each call as they are.

    Returns:
        Milliseconds by name.
    """
    begun = time.monotonic()
    repeats = {name: _repeats(call, pixels) for name, call in calls.items()}
    least: dict[str, float] = {}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            before = time.process_time()
            for _ in range(repeats[name]):
                call(pixels)
            spent = (time.process_time() - before) / repeats[name] / len(pixels)
            least[name] = min(spent, least.get(name, spent))
        if time.monotonic() - begun > _MOST_SECONDS:
            break
    return {name: round(1000 * spent, 4) for name, spent in least.items()}


def _repeats(call: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> int:
    """Calls in a row, after two that load and trace what is needed."""
    call(pixels)
    before = time.monotonic()
    call(pixels)
    return max(1, round(_LEAST_SECONDS / max(time.monotonic() - before, 1e-6)))
