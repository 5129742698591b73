"""`facemill match --pairs`: the scores of listed pairs of images, a row for each line."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.model.protocols.pair_lists import header_of, rows_of
from facemill.pipelines.common.report import charts, figures, page
from facemill.pipelines.common.thresholds import threshold
from facemill.pipelines.match.options import MatchOptions
from facemill.pipelines.match.outputs import REPORT, begin, needed
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, UsageError
from facemill.transforms.core.reasons import Reason, ReasonCode, reason_columns
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet, check_same_model, unit
from facemill.transforms.search.exact import scores_of

PAIRS = "pairs"
SCHEMA = pa.schema(
    [
        ("left_id", pa.string()),
        ("right_id", pa.string()),
        ("score", pa.float32()),
        ("accepted", pa.bool_()),
        ("reason_code", pa.string()),
        ("reason", pa.string()),
    ]
)
_ROW_GROUP = 65_536


@dataclass(frozen=True)
class Vectors:
    """Embeddings of some images.

    Attributes:
        rows: image_id to row; an image without an embedding is absent.
        vectors: float32 [N, D], of length 1.
    """

    rows: Mapping[str, int]
    vectors: np.ndarray


def run(options: MatchOptions, beam_args: Sequence[str]) -> None:
    """Compares the pairs that the options name, in this process.

    Args:
        options: checked values, with `pairs`.
        beam_args: flags of Beam's for stores, and no others; this is no Beam job.

    Raises:
        UsageError: an input cannot be used, or the output holds something else.
        RunError: embeddings differ from their manifest.
    """
    unknown = storage.take_flags(beam_args)
    if unknown:
        raise UsageError(
            f"`facemill match --pairs` runs in one process and takes no option {unknown[0]}; "
            "leave it out."
        )
    started = time.monotonic()
    (left, left_manifest), (right, right_manifest) = _sets(options)
    check_same_model(left, right, "gallery")
    least = threshold(
        options.threshold, options.fmr, options.model, left.model_id, (left.path, right.path)
    )
    path = storage.absolute(options.pairs or "", "pairs")
    pairs, digest = read(path)
    wanted = {
        "probes_fingerprint": artifact.fingerprint(left_manifest),
        "gallery_fingerprint": artifact.fingerprint(right_manifest),
        "pairs_sha256": digest,
        "threshold": least,
    }
    inputs = {"probes": left.path, "gallery": right.path, "pairs": path}
    with begin(options, wanted, inputs, (left, right)) as work:
        if work is None:
            return
        ones = find(left, [one for one, _ in pairs])
        others = find(right, [other for _, other in pairs])
        _commit(work, left, score(pairs, ones, others, least), least, started)


def _sets(
    options: MatchOptions,
) -> tuple[tuple[EmbeddingSet, dict[str, Any]], tuple[EmbeddingSet, dict[str, Any]]]:
    """The embeddings of the first and of the second images."""
    if options.embeddings is None:
        left = needed(options.probes, "probes")
        return left, left if options.gallery is None else needed(options.gallery, "gallery")
    if options.probes is not None or options.gallery is not None:
        raise ParameterError(
            "embeddings",
            options.embeddings,
            must="be given in place of `probes` and `gallery`",
            but="both were given",
            do="leave one out",
        )
    both = needed(options.embeddings, "embeddings")
    return both, both


def read(path: str) -> tuple[list[tuple[str, str]], str]:
    """The two image_ids of each line of a list, "" for an absent one; and the file's SHA-256.

    The list is divided by commas, semicolons or tabs, or by blanks where it has none of these. A
    header may name the columns; else the first two count.

    Args:
        path: absolute path or URL.

    Raises:
        UsageError: the file cannot be read, is no text, or has no line.
    """
    try:
        data = storage.read_bytes(path)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ParameterError(
            "pairs",
            path,
            must="be a readable text file in UTF-8",
            got=f"{path} ({reason})",
            do="check the path",
        ) from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    rows = [words for _, words in rows_of(lines)] if lines else []
    columns = header_of(rows[0]) if rows else None
    if columns is not None:
        rows = rows[1:]
    at = (0, 1) if columns is None else (columns["left"], columns["right"])
    if not rows:
        raise ParameterError(
            "pairs", path, must="list pairs", but=f"{path} has none", do="write one on each line"
        )
    found = [(_cell(words, at[0]), _cell(words, at[1])) for words in rows]
    return found, hashlib.sha256(data).hexdigest()


def _cell(words: Sequence[str], index: int) -> str:
    return words[index] if index < len(words) else ""


def find(given: EmbeddingSet, ids: Sequence[str]) -> Vectors:
    """The embeddings of some images; memory holds these and one small block.

    Args:
        given: the set that may hold them.
        ids: image_ids, with repetitions.

    Raises:
        RunError: an embedding is not finite or all zeros, or a part cannot be used.
    """
    wanted = pa.array(sorted(set(ids)), pa.string())
    rows: dict[str, int] = {}
    matrices = [np.zeros((0, given.size), np.float32)]
    for block in given.blocks(given.all_slices()):
        chosen = np.flatnonzero(pc.is_in(block.table[ID], value_set=wanted).to_numpy())
        if len(chosen):
            for name in block.table[ID].take(pa.array(chosen)).to_pylist():
                rows[name] = len(rows)
            matrices.append(unit(block.vectors[chosen], given.path))
    return Vectors(rows, np.concatenate(matrices))


def score(
    pairs: Sequence[tuple[str, str]], ones: Vectors, others: Vectors, least: float | None
) -> pa.Table:
    """A row of SCHEMA for each pair, in their order.

    Args:
        pairs: two image_ids each; "" for an absent one.
        ones: embeddings of the first images.
        others: of the second images.
        least: score from which a pair is accepted; None if there is no decision.
    """
    reasons = [_why_not(row, ones, others) for row in pairs]
    good = [number for number, reason in enumerate(reasons) if reason is None]
    left = ones.vectors[[ones.rows[pairs[number][0]] for number in good]]
    right = others.vectors[[others.rows[pairs[number][1]] for number in good]]
    scores = np.zeros(len(pairs), np.float32)
    scores[good] = scores_of(left, right)
    missing = np.ones(len(pairs), bool)
    missing[good] = False
    accepted = scores >= np.float32(-2 if least is None else least)
    columns = [reason_columns(reason) for reason in reasons]
    return pa.table(
        [
            pa.array([one or None for one, _ in pairs], pa.string()),
            pa.array([other or None for _, other in pairs], pa.string()),
            pa.array(scores, pa.float32(), mask=missing),
            pa.array(accepted, pa.bool_(), mask=missing | (least is None)),
            pa.array([one["reason_code"] for one in columns], pa.string()),
            pa.array([one["reason"] for one in columns], pa.string()),
        ],
        schema=SCHEMA,
    )


def _why_not(row: tuple[str, str], ones: Vectors, others: Vectors) -> Reason | None:
    if not all(row):
        named = sum(map(bool, row))
        return Reason(ReasonCode.BAD_ROW, f"a pair must have two image_ids, got {named}")
    for name, there in zip(row, (ones, others), strict=True):
        if name not in there.rows:
            return Reason(ReasonCode.NO_EMBEDDING, f"{name} has no embedding")
    return None


def _commit(
    work: Work, given: EmbeddingSet, table: pa.Table, least: float | None, started: float
) -> None:
    name = f"{PAIRS}/part-00000-of-00001.parquet"
    written = write_part(table, work.files, name, _ROW_GROUP)
    files = [{"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}]
    compared = len(table) - table["score"].null_count
    counts = {
        "pairs": len(table),
        "compared": compared,
        "accepted": int(pc.sum(table["accepted"], min_count=0).as_py()),
        "missing": len(table) - compared,
    }
    text = _page(table, counts, given, least)
    storage.write_atomically(work.path(REPORT), text.encode("utf-8"))
    files.append(artifact.file_entry(work.scratch, REPORT))
    placed = [entry | {"path": work.placed(entry["path"])} for entry in files]
    manifest = {"counts": counts, "model_id": given.model_id, "files": placed}
    run_info = {"runner": "one process", "seconds": round(time.monotonic() - started, 3)}
    work.commit(
        manifest, [*work.written([PAIRS]), (work.path(REPORT), work.placed(REPORT))], run_info
    )
    print(work.output)
    for label, count in counts.items():
        print(f"  {label:<10} {count:>12,}")
    print(f"  {'threshold':<10} {'none' if least is None else f'{least:.4f}':>12}")


def _page(
    table: pa.Table, counts: Mapping[str, int], given: EmbeddingSet, least: float | None
) -> str:
    cards = [figures.Card("Pairs", counts["pairs"]), figures.Card("Compared", counts["compared"])]
    if least is not None:
        note = f"cosine similarity of {least:.4f} or more"
        cards.append(figures.Card("Accepted", counts["accepted"], note))
    if counts["missing"]:
        cards.append(figures.Card("Missing", counts["missing"], "without both embeddings"))
    sections = [page.Section("Result", [figures.cards(cards)])]
    if counts["compared"]:
        chart = charts.histogram(
            "Scores",
            "cosine similarity",
            "pairs",
            [charts.Sample("pairs", table["score"].drop_null().to_numpy())],
            "Distribution of the scores of the pairs.",
        )
        sections.append(page.Section("Scores", [chart]))
    return page.render("Pairs", sections, f"model {given.model_id[:12]}")
