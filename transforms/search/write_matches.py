"""Writes the matches of a block of probes, and the probes that match nobody."""

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.scoring.embeddings import ID
from facemill.transforms.search.plan import Plan
from facemill.transforms.search.shards import IDENTITY, Hits, merge

MATCHES, UNMATCHED = "matches", "unmatched"

MATCH = pa.schema(
    [
        ("probe_id", pa.string()),
        ("rank", pa.int32()),
        ("gallery_id", pa.string()),
        ("score", pa.float32()),
        ("probe_identity", pa.string()),
        ("gallery_identity", pa.string()),
    ]
)
# The nearest of the gallery, though it is below the threshold; null where there is none.
NEAREST = pa.schema([field for field in MATCH if field.name != "rank"])

_ROW_GROUP = 65_536


class WriteMatches(beam.PTransform):
    """(number of a block, Hits) -> a receipt for each block.

    Args:
        plan: of the search.
        files: where the files of the artifact are written.
    """

    def __init__(self, plan: Plan, files: OutputFiles) -> None:
        super().__init__()
        self._plan = plan
        self._files = files

    def expand(self, hits: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            hits
            | "ByBlock" >> beam.GroupByKey()
            | "Write" >> beam.Map(write_block, self._plan, self._files)
        )


def write_block(
    group: tuple[int, Iterable[Hits]], plan: Plan, files: OutputFiles
) -> dict[str, Any]:
    """Writes the matches of one block.

    Args:
        group: number of the block, and what each shard holds that is near its probes.
        plan: of the search.
        files: where the files of the artifact are written.

    Returns:
        A receipt: files; probes, matched, pairs; of the matched probes whose identity and whose
        best match's are known (`named`), how many have the same one (`right`); of an approximate
        search the pairs that the exact one finds for a sample (`sampled`), and how many of them
        were found (`recalled`).
    """
    number, given = group
    hits = list(given)
    names = pa.concat_tables(
        plan.probes.tables(plan.blocks[number], (ID, IDENTITY))
    ).combine_chunks()
    best, ranks = merge([one.table for one in hits], plan.k)
    scores = best["score"].to_numpy()
    above = np.ones(len(best), bool)
    if plan.threshold is not None:
        above = scores >= np.float32(plan.threshold)
    part = f"part-{number:05d}-of-{len(plan.blocks):05d}.parquet"
    matches = _rows(names, best, above, ranks)
    written = [_write(matches, files, f"{MATCHES}/{part}")]
    first = matches.filter(pa.array(matches["rank"].to_numpy() == 1))
    without = np.ones(len(names), bool)
    without[best["probe"].to_numpy()[above]] = False
    if without.any():
        rows = _nearest(names, best, np.flatnonzero(without))
        written.append(_write(rows, files, f"{UNMATCHED}/{part}"))
    pairs = zip(
        first["probe_identity"].to_pylist(), first["gallery_identity"].to_pylist(), strict=True
    )
    sampled, recalled = _recall(hits, best.filter(pa.array(above)), plan)
    known = [one == other for one, other in pairs if None not in (one, other)]
    return {
        "files": written,
        "probes": len(names),
        "matched": len(first),
        "pairs": len(matches),
        "named": len(known),
        "right": sum(known),
        "sampled": sampled,
        "recalled": recalled,
    }


def _recall(hits: Sequence[Hits], found: pa.Table, plan: Plan) -> tuple[int, int]:
    """Pairs of the sampled probes by the exact search, and how many of them were found."""
    exactly, _ = merge([one.sample for one in hits], plan.k)
    if plan.threshold is not None:
        exactly = exactly.filter(
            pa.array(exactly["score"].to_numpy() >= np.float32(plan.threshold))
        )
    there = set(zip(found["probe"].to_pylist(), found["row"].to_pylist(), strict=True))
    pairs = list(zip(exactly["probe"].to_pylist(), exactly["row"].to_pylist(), strict=True))
    return len(pairs), sum(pair in there for pair in pairs)


def _rows(names: pa.Table, best: pa.Table, chosen: np.ndarray, ranks: np.ndarray) -> pa.Table:
    """The rows of `matches/`."""
    kept = best.filter(pa.array(chosen))
    probes = names.take(kept["probe"])
    return pa.table(
        [
            probes[ID],
            pa.array(ranks[chosen], pa.int32()),
            kept[ID],
            kept["score"],
            probes[IDENTITY],
            kept[IDENTITY],
        ],
        schema=MATCH,
    )


def _nearest(names: pa.Table, best: pa.Table, probes: np.ndarray) -> pa.Table:
    """The rows of `unmatched/`: each probe with its nearest row, which stands first in `best`."""
    numbers, first = np.unique(best["probe"].to_numpy(), return_index=True)
    places = np.full(len(names), -1)
    places[numbers] = first
    at = places[probes]
    nearest = best.take(pa.array(at, mask=at < 0))
    some = names.take(pa.array(probes))
    return pa.table(
        [some[ID], nearest[ID], nearest["score"], some[IDENTITY], nearest[IDENTITY]],
        schema=NEAREST,
    )


def _write(rows: pa.Table, files: OutputFiles, name: str) -> dict[str, Any]:
    written = write_part(rows, files, name, _ROW_GROUP)
    return {"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}
