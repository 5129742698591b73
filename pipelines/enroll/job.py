"""`facemill enroll`: one template of all images of a person, as embeddings.

rows -> buckets of whole people, on disk -> templates, a bucket at a time
"""

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.common.derived import format_of, inputs_of
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.enroll.options import EnrollOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.buckets import Buckets, bucket_count
from facemill.transforms.scoring.embeddings import (
    EMBEDDING,
    ID,
    KIND,
    MODEL_ID,
    EmbeddingSet,
    Slice,
    read_set,
    unit,
)
from facemill.transforms.scoring.one_row_each import OneRowEach
from facemill.transforms.search.read_clusters import read_clusters
from facemill.transforms.search.templates import Template, quality_weights, template

OUTLIERS = "outliers"
_IDENTITY, _IMAGES = "identity", "images"
_ROW_GROUP = 8_192
_NAMED = 5
# What a template takes over from the image with the most weight.
_OF_BEST = ("source", "sharpness", "brightness", "contrast", "faces", "face_score", "face_box")
_OUTLIER = pa.schema([(ID, pa.string()), (_IDENTITY, pa.string()), ("agreement", pa.float32())])


@dataclasses.dataclass
class _Counts:
    images: int = 0
    templates: int = 0
    outliers: int = 0
    unnamed: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)


def run(options: EnrollOptions, beam_args: Sequence[str]) -> None:
    """Makes the templates that the options ask for.

    Args:
        options: checked values.
        beam_args: none; enrollment is no Beam job.

    Raises:
        UsageError: an input cannot be used, or the output holds something else.
        RunError: embeddings differ from their manifest.
    """
    del beam_args
    started = time.monotonic()
    given, manifest = read_set(options.embeddings, "embeddings")
    inputs, identified = inputs_of({"embeddings": given.path})
    people, clusters = None, None
    if options.clusters is not None:
        found, clusters_manifest = read_clusters(options.clusters, "clusters", given.model_id)
        people, clusters = found, artifact.fingerprint(clusters_manifest)
        inputs["clusters"] = storage.absolute(options.clusters, "clusters")
        identified.append("clusters")
    wanted = {
        "embeddings_fingerprint": artifact.fingerprint(manifest),
        "clusters_fingerprint": clusters,
        "threshold": options.threshold,
        "format": format_of([manifest]),
    }
    with writing.begin(options.output, KIND, wanted, inputs, identified=identified) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to enroll again.")
            return
        given.check_files()
        if not any(given.part_rows()):
            raise ParameterError(
                "embeddings", given.path, must="hold rows", but="it has none", do="score images"
            )
        counts = _Counts()
        with Progress("images read", lambda: counts.images + counts.unnamed):
            buckets = _divide(work, given, people, counts)
            if not counts.images:
                raise ParameterError(
                    "embeddings",
                    given.path,
                    must="name the identities of its images",
                    but=f"none of the {counts.unnamed:,} images in it has one",
                    do="score images that name them, or give people by `clusters`",
                )
            files = list(_write(work, given, buckets, options.threshold, counts))
        _commit(work, given, counts, files, started)


def _divide(
    work: Work, given: EmbeddingSet, people: Mapping[str, str] | None, counts: _Counts
) -> Buckets:
    """Writes the rows of people to buckets, all of a person to one.

    Raises:
        RunError: an image has two rows.
    """
    slices = given.all_slices()
    count = bucket_count(sum(map(len, slices)))
    tables = _tables(given, slices, people)
    first = next(tables)
    numbers: dict[str, int] = {}
    folder = work.folder("buckets")
    images_once = OneRowEach(given.path)
    with Buckets(folder, count, first.schema) as buckets:
        for table in itertools.chain([first], tables):
            images_once.add(table[ID].to_pylist())
            named = table.filter(table[_IDENTITY].is_valid())
            counts.images += len(named)
            counts.unnamed += len(table) - len(named)
            for name in pc.unique(named[_IDENTITY]).to_pylist():
                numbers.setdefault(name, keyed_hash(0, "template", name) % count)
            where = [numbers[name] for name in named[_IDENTITY].to_pylist()]
            buckets.add(named, np.array(where, np.int64))
    images_once.check()
    return buckets


def _tables(
    given: EmbeddingSet, slices: Sequence[Slice], people: Mapping[str, str] | None
) -> Iterator[pa.Table]:
    """Rows with the columns that a template needs, their embeddings of length 1."""
    there = given.columns()
    columns = [ID, _IDENTITY, *(name for name in _OF_BEST if name in there)]
    for block in given.blocks(slices, columns):
        table = block.table
        if people is not None:
            names = pa.array([people.get(one) for one in block.ids], pa.string())
            at = table.schema.get_field_index(_IDENTITY)
            table = table.set_column(at, _IDENTITY, names)
        vectors = pa.array(unit(block.vectors, given.path).reshape(-1))
        yield table.append_column(EMBEDDING, pa.FixedSizeListArray.from_arrays(vectors, given.size))


def _write(
    work: Work, given: EmbeddingSet, buckets: Buckets, threshold: float | None, counts: _Counts
) -> Iterator[dict[str, Any]]:
    """Writes the templates of each bucket, and the outliers; yields the entries of the files."""
    for number, table in buckets.tables():
        part = f"part-{number:05d}-of-{buckets.count:05d}.parquet"
        rows, outliers = _templates(table, given, threshold)
        counts.templates += len(rows)
        yield _write_part(work, rows, part)
        if len(outliers):
            counts.outliers += len(outliers)
            counts.examples += outliers[ID].to_pylist()[: _NAMED - len(counts.examples)]
            yield _write_part(work, outliers, f"{OUTLIERS}/{part}")


def _templates(
    table: pa.Table, given: EmbeddingSet, threshold: float | None
) -> tuple[pa.Table, pa.Table]:
    """The templates of the people in a bucket, and their outliers."""
    table = table.sort_by([(_IDENTITY, "ascending"), (ID, "ascending")]).combine_chunks()
    vectors = table[EMBEDDING].combine_chunks().flatten().to_numpy().reshape(-1, given.size)
    names = table[_IDENTITY].to_pylist()
    starts = [row for row in range(len(names)) if row == 0 or names[row] != names[row - 1]]
    measures = [
        table[name].to_pylist() if name in table.column_names else [None] * len(names)
        for name in ("sharpness", "face_score")
    ]
    found: list[Template] = []
    for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
        weights = quality_weights(*(values[start:stop] for values in measures))
        found.append(template(vectors[start:stop], weights, threshold))
    best = [start + one.best for start, one in zip(starts, found, strict=True)]
    values = np.concatenate([one.vector for one in found])
    rows = table.take(pa.array(best)).drop_columns([ID, EMBEDDING])
    rows = rows.add_column(0, ID, rows[_IDENTITY].cast(pa.string()))
    rows = rows.append_column(
        EMBEDDING, pa.FixedSizeListArray.from_arrays(pa.array(values), given.size)
    )
    rows = rows.append_column(MODEL_ID, pa.array([given.model_id] * len(rows), pa.string()))
    used = [int(np.count_nonzero(one.used)) for one in found]
    rows = rows.append_column(_IMAGES, pa.array(used, pa.int32()))
    left_out = np.flatnonzero(~np.concatenate([one.used for one in found]))
    agreement = np.concatenate([one.agreement for one in found])[left_out]
    outliers = table.select([ID, _IDENTITY]).take(pa.array(left_out))
    outliers = outliers.append_column("agreement", pa.array(agreement.astype(np.float32)))
    return rows.sort_by(ID), outliers.cast(_OUTLIER).sort_by(ID)


def _write_part(work: Work, rows: pa.Table, name: str) -> dict[str, Any]:
    written = write_part(rows, work.files, name, _ROW_GROUP)
    return {"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}


def _commit(
    work: Work,
    given: EmbeddingSet,
    counts: _Counts,
    files: list[dict[str, Any]],
    started: float,
) -> None:
    found = {name: getattr(counts, name) for name in ("images", "templates", "outliers", "unnamed")}
    manifest = {
        "counts": found,
        "model_id": given.model_id,
        "embedding_size": given.size,
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    tops = sorted({entry["path"].split("/")[0] for entry in files})
    run_info = {"runner": "one process", "seconds": round(time.monotonic() - started, 3)}
    work.commit(manifest, work.written(tops), run_info)
    print(work.output)
    for name, count in found.items():
        print(f"  {name:<10} {count:>12,}")
    if counts.examples:
        more = ", ..." if counts.outliers > len(counts.examples) else ""
        print(f"  left out as outliers: {', '.join(counts.examples)}{more}")
