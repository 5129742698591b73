"""How fast `facemill ingest` is: against a bare process pool, img2dataset and TFDS, in one run.

    python -m benchmarks.ingest --folder /tmp/ingest \
        --peer-python img2dataset=/tmp/a/bin/python --peer-python tfds=/tmp/b/bin/python

It prints the rate of the whole process at two sizes, and the marginal throughput (`further`),
start-up excluded: the difference of the sizes over the difference of the times. The start-up of an
ingest run (importing Beam and TensorFlow, building the graph, writing tensorflow-transform's model)
takes some seconds on two cores, whatever the collection; at a million images both rates agree.
While TensorFlow loads, worker processes already prefetch images. Both sizes must be larger than
what they prefetch, or the marginal throughput would come out too high.

The bare limit does less than an ingest run: no duplicates, no split, no index, no statistics, no
report. img2dataset reads, decodes, resizes and encodes, and computes one SHA-256. TFDS only copies
files as they are (`tfds copy`), or decodes, resizes and encodes them (`tfds decode`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.usage import Usage, run

_HERE = Path(__file__).resolve().parent
_PER_IDENTITY = 20


@dataclass(frozen=True)
class Collection:
    """A folder of identities at two sizes: (folder, images), the smaller first."""

    name: str
    sizes: tuple[tuple[str, int], tuple[str, int]]


@dataclass(frozen=True)
class Rate:
    """Images per second.

    Attributes:
        small: over the whole process, at the smaller size.
        large: the same at the larger size.
        marginal: of the images that the larger size has more, start-up excluded.
        cpu: CPU seconds for each of these images.
        fixed: seconds of start-up.
    """

    small: float
    large: float
    marginal: float
    cpu: float
    fixed: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where collections are kept; a temporary one if not given")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="each size so often; the best counts")
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--only", choices=["synthetic", "lfw"], help="one of the collections")
    given = parser.parse_args()
    peers = dict(one.split("=", 1) for one in given.peer_python)
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        if given.only != "lfw":
            compare(synthetic(folder, given.images), given.workers, peers, given.repeat)
        lfw = os.path.join(os.environ.get("FACEMILL_DATA", ""), "lfw", "images")
        if given.only != "synthetic" and os.path.isdir(lfw):
            compare(halved(lfw, folder), given.workers, peers, given.repeat)


def synthetic(folder: str, images: int) -> Collection:
    """`images` synthetic faces of 112 px, and three times as many; drawn once."""
    root = os.path.join(folder, f"synthetic-{3 * images}")
    if not os.path.exists(os.path.join(root, "manifest.json")):
        identities = str(3 * images // _PER_IDENTITY)
        command = ("synthesize", "--output", root, "--identities", identities, "--seed", "1")
        run([*_FACEMILL, *command, "--images-per-identity", str(_PER_IDENTITY)])
    return _two_sizes("synthetic, 112 px", os.path.join(root, "images"), f"{root}-part", 3)


def halved(lfw: str, folder: str) -> Collection:
    """Labeled Faces in the Wild, and the first half of its identities."""
    return _two_sizes("LFW, 250 px", lfw, os.path.join(folder, "lfw-half"), 2)


def _two_sizes(name: str, root: str, part: str, share: int) -> Collection:
    if not os.path.exists(part):
        chosen = sorted(os.listdir(root))
        for one in chosen[: len(chosen) // share]:
            shutil.copytree(os.path.join(root, one), os.path.join(part, one))
    return Collection(name, ((part, _count(part)), (root, _count(root))))


def compare(collection: Collection, workers: int, peers: dict[str, str], repeat: int = 1) -> None:
    """Runs each program on one collection and prints the figures."""
    contestants = {
        "bare limit": [sys.executable, "-m", "benchmarks.bare", "INPUT", "OUTPUT", str(workers)],
        "facemill ingest": [
            *_FACEMILL,
            *("ingest", "--input", "INPUT", "--output", "OUTPUT", "--workers", str(workers)),
        ],
    }
    if "img2dataset" in peers:
        script = str(_HERE / "peer_img2dataset.py")
        contestants["img2dataset"] = [peers["img2dataset"], script, "INPUT", "OUTPUT", str(workers)]
    for mode in ("copy", "decode") if "tfds" in peers else ():
        script = str(_HERE / "peer_tfds.py")
        contestants[f"tfds {mode}"] = [peers["tfds"], script, "INPUT", "OUTPUT", mode]
    (_, fewer), (_, more) = collection.sizes
    print(f"\n{collection.name}, {workers} workers; CPU is that of a further image")
    print(f"\n{'images/s':<16} {fewer:>8,} {more:>8,}  further | fixed s | CPU ms | peak MB, all")
    rates: dict[str, Rate] = {}
    for name, command in contestants.items():
        small, large = (_best(command, root, repeat) for root, _ in collection.sizes)
        rates[name] = rate = _rate(small, large, fewer, more)
        print(
            f"{name:<16} {rate.small:>8,.0f} {rate.large:>8,.0f} {rate.marginal:>8,.0f} | "
            f"{rate.fixed:>7.1f} | {rate.cpu * 1e3:>6.2f} | {large.largest >> 20:>7,}, "
            f"{large.tree >> 20:,}",
            flush=True,
        )
    ours = rates.pop("facemill ingest")
    print("\ningest is faster by a factor of")
    for name, rate in rates.items():
        print(
            f"  than {name:<11} {ours.small / rate.small:>8.2f} {ours.large / rate.large:>8.2f} "
            f"{ours.marginal / rate.marginal:>8.2f} | CPU {ours.cpu / rate.cpu:.2f}"
        )


def _best(command: list[str], root: str, repeat: int) -> Usage:
    """The fastest of some runs, which other work on the machine disturbed least."""
    return min((_run(command, root) for _ in range(repeat)), key=lambda usage: usage.wall)


def _run(command: list[str], root: str) -> Usage:
    with tempfile.TemporaryDirectory() as scratch:
        paths = {"INPUT": root, "OUTPUT": os.path.join(scratch, "output")}
        # Without it, each process of a peer would start as many threads as there are cores.
        return run(
            [paths.get(word, word) for word in command], environment={"OMP_NUM_THREADS": "1"}
        )


def _rate(small: Usage, large: Usage, fewer: int, more: int) -> Rate:
    images = more - fewer
    seconds = (large.wall - small.wall) / images
    return Rate(
        small=fewer / small.wall,
        large=more / large.wall,
        marginal=1 / seconds,
        cpu=(large.cpu - small.cpu) / images,
        fixed=large.wall - seconds * more,
    )


def _count(root: str) -> int:
    return sum(len(names) for _, _, names in os.walk(root))


_FACEMILL = [sys.executable, "-m", "facemill.pipelines.cli"]

if __name__ == "__main__":
    main()
