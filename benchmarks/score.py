"""How fast `facemill score` is: against a bare loop, the loop that people write, and a checkout.

    python -m benchmarks.score --model MODEL --images 5000,20000 --old CHECKOUT --folder /tmp/score

It prints, at two sizes, the rate of the whole process and the marginal throughput (start-up
excluded: the difference of the sizes over the difference of the times), CPU time for each further
image, and the largest memory of all processes together. The claims: at least 0.95 of the bare
loop's marginal throughput, and as much memory for the larger size as for the smaller one.

MODEL is a model artifact; photos are drawn, or taken from `--photos`, before the clock starts.
The bare loop (`benchmarks.bare_score`) decodes, frames and embeds by the same functions in
threads; the loop that people write does so one image at a time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale import collection
from benchmarks.usage import Usage, run


@dataclass(frozen=True)
class Way:
    """A way to score a folder.

    Attributes:
        name: for the table.
        command: program and arguments; INPUT, OUTPUT and LIMIT stand for their values.
        environment: variables to set.
    """

    name: str
    command: list[str]
    environment: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", default="5000,20000", help="two sizes, the smaller first")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="the fastest run of each counts")
    parser.add_argument("--users-images", type=int, default=500, help="for the loop of people")
    parser.add_argument("--old", help="another checkout of facemill to compare with")
    parser.add_argument("--old-model", help="the model for it; --model if not given")
    parser.add_argument("--folder", help="where photos are kept; a temporary one if not given")
    parser.add_argument("--photos", help="a folder of photos to take in place of drawn ones")
    given = parser.parse_args()
    sizes = [int(text) for text in given.images.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        photos = [
            _first(given.photos, size, folder) if given.photos else collection(folder, size)
            for size in sizes
        ]
        print("way       | images/s small  large  further | CPU ms/further | MB small  large")
        rates = {}
        for way in _ways(given):
            best: list[Usage] = []
            for turn in range(given.repeat):
                usages = [
                    _score(way, path, size, os.path.join(temporary, f"{way.name}-{turn}-{size}"))
                    for path, size in zip(photos, sizes, strict=True)
                ]
                best = usages if not best or usages[-1].wall < best[-1].wall else best
            rates[way.name] = _report(way.name, sizes, best)
        for name in rates:
            if name != "facemill":
                print(f"facemill scores {rates['facemill'] / rates[name]:.2f} x {name} (further)")
        users = Way("loop of people", [*_bare(given), "--users-loop"], {})
        usage = _score(users, photos[0], given.users_images, "")
        print(f"{users.name}: {usage.output.strip()}")


def _first(photos: str, size: int, folder: str) -> str:
    """A folder with copies of the first photos of another one, in the order of their names."""
    target = Path(folder) / f"first-{size}"
    paths = sorted(path for path in Path(photos).rglob("*") if path.is_file())
    for path in paths[:size]:
        copy = target / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return str(target)


def _ways(given: argparse.Namespace) -> list[Way]:
    flags = ["--input", "INPUT", "--output", "OUTPUT", "--workers", str(given.workers)]
    program = [sys.executable, "-m", "facemill.pipelines.cli", "score", *flags, "--model"]
    ways = [Way("facemill", [*program, given.model], {}), Way("bare", _bare(given), {})]
    if given.old:
        model = given.old_model or given.model
        ways.append(Way("old", [*program, model], {"PYTHONPATH": os.path.abspath(given.old)}))
    return ways


def _bare(given: argparse.Namespace) -> list[str]:
    program = [sys.executable, "-m", "benchmarks.bare_score", "--input", "INPUT"]
    return [*program, "--model", given.model, "--limit", "LIMIT", "--threads", str(given.workers)]


def _score(way: Way, photos: str, limit: int, output: str) -> Usage:
    values = {"INPUT": photos, "OUTPUT": output, "LIMIT": str(limit)}
    return run([values.get(word, word) for word in way.command], environment=way.environment)


def _report(name: str, sizes: list[int], usages: list[Usage]) -> float:
    """Prints a row; returns the marginal throughput in images/s."""
    more = sizes[1] - sizes[0]
    further = more / (usages[1].wall - usages[0].wall)
    cpu = 1000 * (usages[1].cpu - usages[0].cpu) / more
    rates = [size / usage.wall for size, usage in zip(sizes, usages, strict=True)]
    memory = [usage.tree / 1e6 for usage in usages]
    print(
        f"{name:<9} | {rates[0]:>14,.0f} {rates[1]:>6,.0f} {further:>8,.0f} | {cpu:>14.2f} | "
        f"{memory[0]:>8,.0f} {memory[1]:>6,.0f}",
        flush=True,
    )
    return further


if __name__ == "__main__":
    main()
