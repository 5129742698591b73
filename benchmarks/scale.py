"""Whether the cost of an image and the memory of `facemill ingest` stay the same as inputs grow.

    python -m benchmarks.scale 20000 100000 1000000 --folder /tmp/scale

The claims: a million synthetic images of 112 px take at most 2 GB in the largest process, and an
image costs at most 1.2 times what it costs at 20,000, near-duplicate search included. Images are
drawn once, before the clock starts. On a busy machine compare CPU times, not wall times.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass

from benchmarks.usage import Usage, folder_bytes, run

_PER_IDENTITY = 20
_MB = 1 << 20


@dataclass(frozen=True)
class Run:
    """The ingest run at one size.

    Attributes:
        images: number of images in the input.
        usage: of the command; `watched` is the size of the output folder during the run.
        output: size of the dataset in bytes.
        counts: of the dataset's manifest.
    """

    images: int
    usage: Usage
    output: int
    counts: dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=int, nargs="*", default=[20_000, 100_000])
    parser.add_argument("--folder", help="where collections are kept; a temporary one if not given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dedup", default="near")
    given = parser.parse_args()
    print(
        f"{'images':>9} | images/s  CPU ms/image | peak MB: largest process, all | "
        "disk MB: peak, dataset | duplicates"
    )
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        for images in given.images:
            runs.append(one := _ingest(collection(folder, images), images, given))
            usage = one.usage
            print(
                f"{images:>9,} | {images / usage.wall:>8,.0f} {usage.cpu / images * 1e3:>13.2f} | "
                f"{usage.largest / _MB:>24,.0f} {usage.tree / _MB:>5,.0f} | "
                f"{usage.watched / _MB:>13,.0f} {one.output / _MB:>8,.0f} | "
                f"{one.counts['duplicate']:>6,}",
                flush=True,
            )
    first = runs[0]
    for one in runs[1:]:
        more = one.images - first.images
        cpu = (one.usage.cpu - first.usage.cpu) / more
        grown = (one.usage.largest - first.usage.largest) / more
        ratio = one.usage.cpu / one.images / (first.usage.cpu / first.images)
        print(
            f"{one.images:,} against {first.images:,}: CPU per image {ratio:.2f}; per further "
            f"image {cpu * 1e3:.2f} ms of CPU and {grown:,.0f} bytes of the largest process"
        )


def collection(folder: str, images: int) -> str:
    """A directory of `images` synthetic images; drawn once."""
    root = os.path.join(folder, f"synthetic-{images}")
    if not os.path.exists(os.path.join(root, "manifest.json")):
        identities = str(images // _PER_IDENTITY)
        command = ("synthesize", "--output", root, "--identities", identities, "--seed", "1")
        run([*_FACEMILL, *command, "--images-per-identity", str(_PER_IDENTITY)])
    return os.path.join(root, "images")


def _ingest(root: str, images: int, given: argparse.Namespace) -> Run:
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        output = os.path.join(scratch, "dataset")
        workers, dedup = str(given.workers), given.dedup
        usage = run(
            [
                *_FACEMILL,
                *("ingest", "--input", root, "--output", output),
                *("--workers", workers, "--dedup", dedup),
            ],
            # Walking the folder costs time too, so only some of the samples do it.
            watch=_SampledSize(output),
            environment={"OMP_NUM_THREADS": "1"},
        )
        with open(os.path.join(output, "manifest.json")) as stream:
            counts = json.load(stream)["counts"]
        return Run(images, usage, folder_bytes(output), counts)


class _SampledSize:
    """The size of a folder, measured at every twentieth call and 0 at the others."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._calls = 0

    def __call__(self) -> int:
        self._calls += 1
        return folder_bytes(self._folder) if self._calls % 20 == 0 else 0


_FACEMILL = [sys.executable, "-m", "facemill.pipelines.cli"]

if __name__ == "__main__":
    main()
