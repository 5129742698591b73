"""Exact matching of many probes in a large gallery: speed, memory and equality.

    python -m benchmarks.match --folder /tmp/match
    python -m benchmarks.match --folder /tmp/match --probes 4000

The claim: 20,000 probes against 1,000,000 templates of 128 numbers on two cores run at 0.8 or more
of the speed of plain `faiss.knn` over arrays in memory in one process with as many threads, and
take at most 1 GB in a worker; the matches of a sample are those of numpy, product by product. Both
are timed in one run, the plain search before and after. On a busy machine compare CPU times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.usage import run
from facemill.transforms.dataset import writing
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.scoring.embeddings import EmbeddingSet, read_set

_TOP = 10
_PER_PART = 50_000
_MODEL = "0" * 64
# Of the length of a vector, what is noise: neighbors of one person have a cosine of about 0.7.
_NOISE = 0.65
_PER_PERSON = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--gallery", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--sample", type=int, default=50, help="probes that numpy matches too")
    parser.add_argument("--folder", help="where sets are kept; a temporary one if not given")
    parser.add_argument("--plain", nargs=3, metavar=("PROBES", "GALLERY", "THREADS"))
    given = parser.parse_args()
    if given.plain:
        print(_plain(*given.plain))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        people = max(1, given.gallery // _PER_PERSON)
        probes, gallery = (
            collection(folder, name, count, given.size, people)
            for name, count in (("probes", given.probes), ("gallery", given.gallery))
        )
        output = tempfile.mkdtemp(dir=folder)
        plain = [_run_plain(probes, gallery, given.workers)]
        words = ("--probes", probes, "--gallery", gallery, "--output", output)
        flags = ("--top-k", str(_TOP), "--workers", str(given.workers), "--memory", given.memory)
        usage = run([sys.executable, "-m", "facemill.pipelines.cli", "match", *words, *flags])
        plain.append(_run_plain(probes, gallery, given.workers))
        _print(given, usage.wall, usage.cpu, usage.largest, plain)
        with open(os.path.join(output, "run.json")) as stream:
            print(f"shards: {json.load(stream)['shards']}")
        wrong = _differing(output, probes, gallery, given.sample)
        print(f"probes of the sample with other matches than numpy's: {wrong} of {given.sample}")


def _print(
    given: argparse.Namespace,
    wall: float,
    cpu: float,
    largest: int,
    plain: list[tuple[float, float]],
) -> None:
    walls, cpus = zip(*plain, strict=True)
    print(f"{given.probes:,} probes, {given.gallery:,} in the gallery, {given.size} numbers")
    print(f"{'':>14} | wall s | CPU s")
    for label, seconds, used in (
        ("plain, before", *plain[0]),
        ("plain, after", *plain[1]),
        ("facemill match", wall, cpu),
    ):
        print(f"{label:>14} | {seconds:6.1f} | {used:6.1f}")
    print(
        f"speed as a share of the plain search: {statistics.mean(walls) / wall:.2f} by wall time, "
        f"{statistics.mean(cpus) / cpu:.2f} by CPU time, start-up and reading included"
    )
    print(f"largest process: {largest / 1e6:,.0f} MB")


def collection(folder: str, name: str, count: int, size: int, people: int) -> str:
    """Embeddings of people, several of each; made once.

    Args:
        folder: where sets are kept.
        name: of the set, which its noise depends on.
        count: how many embeddings.
        size: numbers of each.
        people: how many there are.
    """
    path = os.path.join(folder, f"{name}-{count}-{size}")
    with writing.begin(path, "embeddings", {"format": "benchmark"}) as work:
        if work is None:
            return path
        files = []
        parts = -(-count // _PER_PART)
        for part in range(parts):
            rows = min(_PER_PART, count - part * _PER_PART)
            rng = np.random.default_rng([part, len(name)])
            who = rng.integers(people, size=rows)
            centers = np.stack(
                [np.random.default_rng(one).standard_normal(size, np.float32) for one in who]
            )
            vectors = centers + _NOISE * rng.standard_normal((rows, size), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            ids = [f"{one:07d}/{name}-{part}-{row}.jpg" for row, one in enumerate(who.tolist())]
            table = pa.table(
                {
                    "image_id": ids,
                    "identity": [f"{one:07d}" for one in who.tolist()],
                    "embedding": pa.FixedSizeListArray.from_arrays(
                        pa.array(vectors.reshape(-1)), size
                    ),
                    "model_id": [_MODEL] * rows,
                }
            ).sort_by("image_id")
            file = f"part-{part:05d}-of-{parts:05d}.parquet"
            written = write_part(table, work.files, file, 8_192)
            files.append({"path": file, "bytes": written["bytes"], "sha256": written["sha256"]})
        manifest = {"counts": {"scored": count}, "model_id": _MODEL, "embedding_size": size}
        names = [entry["path"] for entry in files]
        work.commit({**manifest, "files": files}, work.written(names), {})
    return path


def _vectors(path: str) -> tuple[np.ndarray, list[str], EmbeddingSet]:
    given, _ = read_set(path, "probes")
    blocks = list(given.blocks(given.all_slices()))
    ids = [name for block in blocks for name in block.ids]
    return np.concatenate([block.vectors for block in blocks]), ids, given


def _run_plain(probes: str, gallery: str, threads: int) -> tuple[float, float]:
    """Seconds of wall and CPU time of faiss alone, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.match", "--plain", probes, gallery, str(threads)]
    # Else idle threads of OpenMP spin, which costs CPU time on a busy machine.
    wall, cpu = run(command, environment={"OMP_WAIT_POLICY": "passive"}).output.split()
    return float(wall), float(cpu)


def _plain(probes: str, gallery: str, threads: str) -> str:
    import faiss

    queries, _, _ = _vectors(probes)
    rows, _, _ = _vectors(gallery)
    faiss.omp_set_num_threads(int(threads))
    wall, cpu = time.perf_counter(), time.process_time()
    faiss.knn(queries, rows, _TOP, metric=faiss.METRIC_INNER_PRODUCT)
    return f"{time.perf_counter() - wall} {time.process_time() - cpu}"


def _differing(output: str, probes: str, gallery: str, sample: int) -> int:
    """How many probes of a sample have other matches than numpy finds."""
    queries, probe_ids, _ = _vectors(probes)
    rows, ids, _ = _vectors(gallery)
    chosen = np.linspace(0, len(queries) - 1, sample).astype(int)
    wanted = {probe_ids[row]: row for row in chosen}
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in wanted}
    folder = os.path.join(output, "matches")
    for name in sorted(os.listdir(folder)):
        table = pq.read_table(os.path.join(folder, name))
        for probe, rank, other in zip(
            *(table[column].to_pylist() for column in ("probe_id", "rank", "gallery_id")),
            strict=True,
        ):
            if probe in found:
                found[probe].append((rank, other))
    wrong = 0
    for name, row in wanted.items():
        scores = rows.astype(np.float64) @ queries[row].astype(np.float64)
        # Vectors are stored with a length of 1 to within rounding, so the best stand clearly apart.
        best = np.argsort(-scores, kind="stable")[:_TOP]
        wrong += [other for _, other in sorted(found[name])] != [ids[one] for one in best]
    return wrong


if __name__ == "__main__":
    main()
