"""Runs a search in a pipeline, for tests."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np

from facemill.transforms.duplicates.candidates import HASH, PAIR, HashRows, PairRows


def hash_rows(seed: int, count: int) -> np.ndarray:
    """HASH rows in clusters, with unsorted row ids, and some hashes more frequent than LEADERS."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (count // 20, 128), np.uint8)
    bits = centers[rng.integers(len(centers), size=count)]
    flips = rng.random(bits.shape) < rng.choice([0.0, 0.02, 0.06, 0.12], size=(count, 1))
    rows = np.zeros(count, HASH)
    rows["row_id"] = rng.choice(2**60, count, replace=False)
    rows["fingerprint"] = np.packbits(bits ^ flips, axis=1)
    rows["fingerprint"][rng.random(count) < 0.1] = rows["fingerprint"][0]
    return rows


def pairs_of(
    folder: Path,
    parts: Sequence[np.ndarray],
    total: int,
    search: Callable[[beam.Pipeline, beam.PCollection], Any],
) -> np.ndarray:
    """Runs the search: PAIR rows in order.

    Args:
        folder: for the result.
        parts: HASH arrays.
        total: the number of images that the search is given.
        search: makes the transform from the pipeline and the collection of the total.
    """
    result = folder / "pairs"

    def write(pairs: list[PairRows]) -> None:
        result.write_bytes(PairRows.join(pairs).tobytes())

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        number = pipeline | "Total" >> beam.Create([total])
        _ = (
            pipeline
            | "Hashes" >> beam.Create([HashRows.of(part) for part in parts])
            | search(pipeline, number)
            | beam.combiners.ToList()
            | "Write" >> beam.Map(write)
        )
    return np.sort(np.fromfile(result, PAIR))
