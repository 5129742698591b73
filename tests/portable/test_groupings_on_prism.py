"""Groupings that only large collections take, on a portable runner."""

from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.transforms.core.rows import Rows
from facemill.transforms.duplicates.candidates import HashRows
from facemill.transforms.duplicates.connect import ConnectedComponents, EdgeRows
from facemill.transforms.duplicates.near_search import NearPairs
from facemill.transforms.duplicates.variant_search import VariantPairs
from facemill.transforms.selection.by_attribute import BalanceAttribute
from facemill.transforms.selection.decisions import DecisionRows
from facemill.transforms.selection.rules import Rule
from tests.transforms.duplicates.searching import hash_rows
from tests.transforms.duplicates.test_variant_search import scanned_chunks
from tests.transforms.selection.decided import decisions

pytestmark = pytest.mark.portable

COUNT = 400
RULES = (Rule("cap", 90, "age"), Rule("oversample", 70, "age"))


def in_one_order(rows: Rows) -> bytes:
    """Decisions by row id: those of a group come in the order in which a runner gathers them."""
    if isinstance(rows, DecisionRows):
        return rows.array[np.argsort(rows.array["row_id"])].tobytes()
    return rows.data


def run(folder: Path, flags: list[str]) -> dict[str, bytes]:
    """The sorted output of each transform, by its name."""
    folder.mkdir()

    def writer(name: str) -> Callable[[list[Rows]], int]:
        return lambda found: (folder / name).write_bytes(b"".join(sorted(map(in_one_order, found))))

    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        total = pipeline | "Total" >> beam.Create([COUNT])

        def create(kind: type[Rows], rows: np.ndarray, parts: int = 5) -> beam.PCollection:
            data = [kind.of(part) for part in np.array_split(rows, parts)]
            return pipeline | kind.__name__ >> beam.Create(data)

        rows = hash_rows(1, COUNT)
        hashes = create(HashRows, rows)
        scanned = pipeline | "Scanned" >> beam.Create(scanned_chunks(rows, 3))
        nodes = np.arange(COUNT, dtype=np.uint64)
        chain = create(EdgeRows, np.stack([nodes[:-1], nodes[1:]], axis=1), COUNT - 1)
        decided = create(DecisionRows, decisions(4, COUNT, values=3))
        for name, found in (
            ("balanced", decided | BalanceAttribute(RULES, "hash", total, 64)),
            ("by band", hashes | "ByBand" >> NearPairs(total, 10, COUNT)),
            ("by bits", hashes | "ByBits" >> NearPairs(total, 10, 100)),
            ("variants", hashes | VariantPairs(scanned, total, 1)),
            ("components", chain | ConnectedComponents(total)),
        ):
            collected = found | f"All {name}" >> beam.combiners.ToList()
            _ = collected | f"Write {name}" >> beam.Map(writer(name))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_groupings_give_the_same_as_on_the_local_runner(tmp_path, prism_flags):
    local = run(tmp_path / "local", ["--runner=FnApiRunner"])
    assert len(local) == 5
    assert all(local.values())
    assert run(tmp_path / "prism", [*map(str, prism_flags)]) == local
