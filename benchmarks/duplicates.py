"""Duplicate search on Labeled Faces in the Wild with planted copies, beside imagededup.

Claims: with `near`, at least 0.99 of byte copies, JPEG quality 50, half size and brightness +20 %
are found; with `thorough`, at least 0.95 of these and of crops and mirror images; at least 0.999
of all reported pairs are right; of ORL's 400 photos, no two of which are one photo, `near` sets at
most two aside, and of 600 faces before one background none; the pairs of LFW that are one photo
under two names are found. Crops keep 95 % or 90 % of each side, centered or not. Photos that are
cut twice, each time in another way, are found by `thorough`, at least 0.95 of them.

    OMP_NUM_THREADS=1 FACEMILL_DATA=... python -m benchmarks.duplicates --peer-python ENV/bin/python

ENV is an environment with imagededup; without the option only facemill runs. Pairs of LFW's own
photos are printed first and are not counted. All times are CPU seconds over all processes, with
decoding; only the ratios carry over to other machines.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from facemill.transforms.duplicates import banding, budget, components, confirm
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.local_evidence import sized
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import decode

_Result = TypeVar("_Result")

PLANTED = 2000
SEED = 20
CUT, PEOPLE = 500, 600
SCENE = "George_W_Bush/George_W_Bush_0375.jpg"
NEAR_KINDS = ("byte copy", "quality 50", "half size", "brightness")
KINDS = (*NEAR_KINDS, "crop 5 %", "mirror")
EXTRA_KINDS = ("crop 5 % off center", "crop 10 % off center")

# Pairs of LFW, and whether they are one photo.
PAIRS = {
    ("Bart_Hendricks_0001", "Ricky_Ray_0001"): True,
    ("Carlos_Beltran_0001", "Raul_Ibanez_0001"): True,
    ("Emmy_Rossum_0001", "Eva_Amurri_0001"): True,
    ("Gabrielle_Rose_0001", "Martha_Bowen_0002"): True,
    ("Andrew_Caldecott_0001", "Andrew_Gilligan_0001"): True,
    ("George_W_Bush_0168", "George_W_Bush_0171"): True,
    ("George_W_Bush_0407", "George_W_Bush_0409"): True,
    ("George_W_Bush_0375", "George_W_Bush_0376"): False,
    ("Ron_Dittemore_0002", "Ron_Dittemore_0004"): False,
}

# Runs in the peer's environment: PHash with its defaults, its processes included in the time.
_PEER = """
import json, os, sys
folder, answer = sys.argv[1:]
from imagededup.methods import PHash
method = PHash(verbose=False)

def seconds():
    return sum(os.times()[:4])

started = seconds()
codes = method.encode_images(image_dir=folder)
encoded = seconds()
close = method.find_duplicates(encoding_map=codes, max_distance_threshold=10, scores=True)
searched = seconds()
found = {limit: [[a, b] for a, many in close.items() for b, bits in many
                 if a < b and bits <= limit] for limit in (4, 10)}
try:
    from imagededup.methods import CNN
    CNN(verbose=False)
    cnn = "its weights are at hand, but this benchmark has no figures for it"
except Exception as error:
    cnn = f"{type(error).__name__}: {error}"
json.dump({"encode": encoded - started, "search": searched - encoded, "found": found, "cnn": cnn},
          open(answer, "w"))
"""


def _cropped(pixels: np.ndarray, share: float, at: tuple[float, float]) -> np.ndarray:
    """Removes `share` of each side; `at` is the part of that which is removed at left and top."""
    height, width = pixels.shape[:2]
    left, top = round(width * share * at[0]), round(height * share * at[1])
    return pixels[top : top + round(height * (1 - share)), left : left + round(width * (1 - share))]


def _copies(path: Path, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    data = path.read_bytes()
    pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))

    def jpeg(image: np.ndarray, quality: int = 95) -> bytes:
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

    yield "byte copy", data
    yield "quality 50", jpeg(pixels, 50)
    yield "half size", jpeg(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    yield "brightness", jpeg(np.clip(pixels * 1.2, 0, 255).astype(np.uint8))
    yield "crop 5 %", jpeg(_cropped(pixels, 0.05, (0.5, 0.5)))
    yield "mirror", jpeg(pixels[:, ::-1])
    yield "crop 5 % off center", jpeg(_cropped(pixels, 0.05, (rng.uniform(), rng.uniform())))
    yield "crop 10 % off center", jpeg(_cropped(pixels, 0.1, (rng.uniform(), rng.uniform())))


def _plant(images: Path, folder: Path) -> list[str]:
    """Links LFW into the folder and writes copies beside it; returns the sorted names."""
    rng = np.random.default_rng(SEED)
    originals = sorted(images.glob("*/*.jpg"))
    if not originals:
        sys.exit(f"{images} must hold NAME/NAME_0001.jpg, found no image: set FACEMILL_DATA")
    for path in originals:
        (folder / path.name).symlink_to(path)
    for number in rng.permutation(len(originals))[:PLANTED]:
        path = originals[number]
        for kind, data in _copies(path, rng):
            (folder / f"{path.stem}@{kind}.jpg").write_bytes(data)
    return sorted(path.name for path in folder.iterdir())


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def _read(folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Hashes, thumbnails, window hashes, and the CPU seconds that the window hashes took."""
    hashes, thumbnails, windows, seconds = [], [], [], 0.0
    for name in names:
        small = perceptual_hash.small(decode((folder / name).read_bytes()).pixels)
        hashes.append(perceptual_hash.dct_hash(small))
        thumbnails.append(perceptual_hash.grey_thumbnail(small))
        started = time.process_time()
        windows.append(crop_variants.window_hashes(small))
        seconds += time.process_time() - started
    shaped = [np.frombuffer(b"".join(part), np.uint8) for part in (hashes, windows)]
    count = len(names)
    return shaped[0].reshape(count, -1), np.stack(thumbnails), shaped[1].reshape(count, -1), seconds


class _Crops:
    """Grey crops of the images of a folder, read when a pair needs them."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder, self._names = folder, names

    def __call__(self, rows: np.ndarray) -> list[np.ndarray]:
        read = {row: self._read(row) for row in dict.fromkeys(rows.tolist())}
        return [read[row] for row in rows.tolist()]

    def _read(self, row: int) -> np.ndarray:
        pixels = decode((self._folder / self._names[row]).read_bytes()).pixels
        return sized(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def _near(hashes: np.ndarray, thumbnails: np.ndarray, crops: _Crops) -> np.ndarray:
    return _confirmed(_near_rows(hashes), thumbnails, crops)


def _thorough(
    hashes: np.ndarray, windows: np.ndarray, thumbnails: np.ndarray, crops: _Crops
) -> np.ndarray:
    started = time.process_time()
    asking, found = crop_variants.asking(windows), crop_variants.found(windows)
    hits = banding.cross_pairs(asking, np.arange(len(windows)), found)
    print(f"windows: {len(hits)} hits in {time.process_time() - started:.1f} s of CPU")
    rows = np.zeros(len(hits), PAIR)
    for name in PAIR.names or ():
        rows[name] = hits[name]
    return _confirmed(np.concatenate([_near_rows(hashes), rows]), thumbnails, crops)


def _near_rows(hashes: np.ndarray) -> np.ndarray:
    pairs = banding.near_pairs(hashes)
    rows = np.zeros(len(pairs), PAIR)
    rows["first"], rows["second"] = pairs.T
    rows["distance"] = banding.distances(*(hashes[ends] for ends in pairs.T))
    return rows


def _confirmed(rows: np.ndarray, thumbnails: np.ndarray, crops: _Crops) -> np.ndarray:
    """The pairs that are confirmed within the budgets of their images, as ingest confirms them."""
    right = [np.empty((0, 2), np.int64)]
    for chunk in budget.chunks(budget.nearest(rows)):
        part = chunk.array
        same = np.zeros(len(part), bool)
        ends = (thumbnails[part[name].astype(np.int64)] for name in ("first", "second"))
        budget.compare_within_budget(
            part,
            functools.partial(_compared, part, same, thumbnails, crops),
            confirm.crowd_likeness(part, *ends),
        )
        right.append(np.stack([part[name][same] for name in ("first", "second")], 1).astype(int))
    return np.concatenate(right)


def _compared(
    part: np.ndarray, same: np.ndarray, thumbnails: np.ndarray, crops: _Crops, some: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ends = [part[name][some].astype(np.int64) for name in ("first", "second")]
    first, second = ends
    found = confirm.compare(
        thumbnails[first],
        thumbnails[second],
        part["variant"][some],
        lambda few: (crops(first[few]), crops(second[few])),
    )
    same[some] = found.same()
    return same[some], found.refuted()


def _set_aside_of(folder: Path) -> None:
    """Prints how many of a folder's photos `near` sets aside, and their pairs."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.pgm"))
    if not names:
        print(f"{folder}: no photos, so ORL was not measured")
        return
    hashes, thumbnails, _, _ = _read(folder, names)
    pairs = _near(hashes, thumbnails, _Crops(folder, names))
    nodes, roots = components.components(pairs.astype(np.uint64))
    set_aside = len(nodes) - len(np.unique(roots))
    print(f"ORL, {len(names)} different photos: {set_aside} set aside by near (target: at most 2)")
    for first, second in pairs.tolist():
        print(f"  {names[first]} = {names[second]}")


def _cut_each_side(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Removes 5 to 10 % at each of the four sides."""
    height, width = pixels.shape[:2]
    left, right = (round(width * share) for share in rng.uniform(0.05, 0.1, 2))
    top, bottom = (round(height * share) for share in rng.uniform(0.05, 0.1, 2))
    return pixels[top : height - bottom, left : width - right]


def _cut_anywhere(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Removes 5 to 10 % of the width and as much of the height, at any ends."""
    return _cropped(pixels, rng.uniform(0.05, 0.1), (rng.uniform(), rng.uniform()))


def _own_cuts(images: Path, folder: Path) -> None:
    """Prints how many photos are found that are cut twice, each time in another way.

    They are searched among themselves, and beside all others of LFW, where one copy of each lies in
    the held-out set.
    """
    originals = sorted(images.glob("*/*.jpg"))
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(originals))
    for number, path in enumerate(originals):
        if number not in chosen[: CUT * len(CUTS)]:
            (folder / f"{path.stem}@.jpg").symlink_to(path)
    for place, (title, cut) in enumerate(CUTS.items()):
        for number in chosen[CUT * place : CUT * (place + 1)]:
            pixels = np.asarray(cv2.imread(str(originals[number])))
            for name in "ab":
                copy = cut(pixels, rng)
                copy = copy[:, ::-1] if title.startswith("mirror") and name == "b" else copy
                file = folder / f"{originals[number].stem}@{title}@{name}.jpg"
                cv2.imwrite(str(file), copy, [cv2.IMWRITE_JPEG_QUALITY, 95])
    names = sorted(path.name for path in folder.iterdir())
    hashes, thumbnails, windows, _ = _read(folder, names)
    search = functools.partial(_thorough, hashes, windows, thumbnails, _Crops(folder, names))
    seconds, pairs = _timed(search)
    print(f"{len(names)} photos, some cut twice: search and confirmation {seconds:.1f} s")
    found: dict[str, set[str]] = {title: set() for title in CUTS}
    others = 0
    for first, second in pairs.tolist():
        ends = [names[row].split("@") for row in (first, second)]
        if ends[0][0] == ends[1][0]:
            found[ends[0][1]].add(ends[0][0])
        else:
            others += 1
            print(f"  {names[first]} = {names[second]}")
    for title, some in found.items():
        print(f"{CUT} photos {title}: {len(some) / CUT:.3f} found by thorough (target: 0.95)")
    print(f"{others} pairs of other photos, printed above")


# How photos are cut, both copies of each.
CUTS = {
    "cut by 5 to 10 % of the sides": _cut_anywhere,
    "cut by 5 to 10 % at each end": _cut_each_side,
    "mirrored and cut by 5 to 10 % at each end": _cut_each_side,
}


def _before_one_background(images: Path, folder: Path) -> None:
    """Prints what near does with faces of different people in one scene."""
    rng = np.random.default_rng(SEED)
    people = sorted(path for path in images.iterdir() if path.is_dir())
    scene = cv2.imread(str(images / SCENE))
    if scene is None:
        sys.exit(f"{images / SCENE} must be an image, since faces are put before it")
    oval = cv2.ellipse(np.zeros((250, 250), np.float32), (125, 125), (46, 62), 0, 0, 360, 1, -1)
    oval = cv2.GaussianBlur(oval, (0, 0), 4)[..., None]
    seconds = {}
    for title in ("ordinary photos", "people before one background"):
        for number in rng.permutation(len(people))[:PEOPLE]:
            pixels = cv2.imread(str(min(people[number].glob("*.jpg"))))
            if title != "ordinary photos":
                pixels = (pixels * oval + scene * (1 - oval)).astype(np.uint8)
            name = f"{title}@{people[number].name}.jpg"
            cv2.imwrite(str(folder / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
        names = sorted(path.name for path in folder.glob(f"{title}@*"))
        hashes, thumbnails, _, _ = _read(folder, names)
        search = functools.partial(_near, hashes, thumbnails, _Crops(folder, names))
        seconds[title], pairs = _timed(search)
        print(
            f"{len(names)} {title}: {len(np.unique(pairs))} set aside by near (target: 0), "
            f"search and confirmation {seconds[title]:.1f} s"
        )


def _score(
    title: str, pairs: list[tuple[str, str]], own: dict[str, str], seconds: str
) -> list[str]:
    """One line of the table: recall by kind (pairs of copy and original), precision, time."""
    found: dict[str, set[str]] = {kind: set() for kind in (*KINDS, *EXTRA_KINDS)}
    wrong, distinct = [], {(min(pair), max(pair)) for pair in pairs}
    for first, second in distinct:
        origin = [name.removesuffix(".jpg").split("@")[0] for name in (first, second)]
        if own.get(origin[0], origin[0]) != own.get(origin[1], origin[1]):
            wrong.append((first, second))
        elif origin[0] == origin[1] and ("@" in first) != ("@" in second):
            copy = first if "@" in first else second
            found[copy.removesuffix(".jpg").split("@")[1]].add(copy)
    for first, second in sorted(wrong)[:5]:
        print(f"{title}: wrong, {first} = {second}")
    precision = 1 - len(wrong) / max(1, len(distinct))
    cells = [title, *(f"{len(found[kind]) / PLANTED:.4f}" for kind in found)]
    return [*cells, f"{precision:.5f}", str(len(distinct)), str(len(wrong)), seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="interpreter of an environment with imagededup")
    parser.add_argument("--orl-only", action="store_true", help="measure ORL and nothing else")
    options = parser.parse_args()
    images = Path(os.environ.get("FACEMILL_DATA", "")) / "lfw" / "images"
    cv2.setNumThreads(1)
    _set_aside_of(images.parents[1] / "orl")
    if options.orl_only:
        return
    for measure in (_own_cuts, _before_one_background):
        with tempfile.TemporaryDirectory() as temporary:
            measure(images, Path(temporary))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        folder.mkdir()
        names = _plant(images, folder)
        table = _run(folder, names, options.peer_python, Path(temporary) / "peer.json")
    print(f"\n{len(names)} images, {PLANTED} of them with a copy of each kind\n")
    head = ["search", *KINDS, *EXTRA_KINDS, "precision", "pairs", "wrong", "CPU s"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for line in table:
        print("| " + " | ".join(line) + " |")


def _run(folder: Path, names: list[str], peer: str | None, peer_result: Path) -> list[list[str]]:
    everything, (hashes, thumbnails, windows, extra) = _timed(lambda: _read(folder, names))
    reading = everything - extra
    crops = _Crops(folder, names)
    near_time, near = _timed(lambda: _near(hashes, thumbnails, crops))
    thorough_time, thorough = _timed(lambda: _thorough(hashes, windows, thumbnails, crops))

    plain = np.array(["@" not in name for name in names])
    of_lfw = thorough[plain[thorough].all(axis=1)]
    pairs_by_name = {frozenset(names[row][:-4] for row in pair) for pair in near.tolist()}
    for pair, expected in PAIRS.items():
        found = frozenset(pair) in pairs_by_name
        print(f"{' = '.join(pair)}: {'found' if found else 'not found'} by near", end="")
        print("" if found == expected else ", which is wrong")
    print("Pairs that LFW itself holds, set aside:")
    for first, second in sorted({tuple(sorted(pair)) for pair in of_lfw.tolist()}):
        print(f"  {names[first][:-4]} = {names[second][:-4]}")
    nodes, root = components.components(of_lfw.astype(np.uint64))
    own = {
        names[int(node)][:-4]: names[int(top)][:-4] for node, top in zip(nodes, root, strict=True)
    }

    def named(pairs: np.ndarray) -> list[tuple[str, str]]:
        return [(names[first], names[second]) for first, second in pairs.tolist()]

    per_image = 1e6 / len(names)
    print(f"reading {reading * per_image:.0f} us/image, windows {extra * per_image:.0f} us/image")
    print(
        f"search and confirmation: near {near_time * per_image:.1f} us/image, "
        f"thorough {thorough_time * per_image:.1f} us/image"
    )
    table = [
        _score("near", named(near), own, f"{reading:.1f} + {near_time:.2f}"),
        _score("thorough", named(thorough), own, f"{everything:.1f} + {thorough_time:.2f}"),
    ]
    if peer:
        subprocess.run([peer, "-c", _PEER, str(folder), str(peer_result)], check=True)
        result = json.loads(peer_result.read_text())
        for limit, pairs in result["found"].items():
            seconds = f"{result['encode']:.1f} + {result['search']:.2f}"
            table.append(_score(f"imagededup PHash, {limit} bits", pairs, own, seconds))
        print(
            f"imagededup PHash / near: reading and hashing {result['encode'] / reading:.2f} times, "
            f"search {result['search'] / near_time:.1f} times"
        )
        print(f"imagededup CNN: not run, {result['cnn']}")
    return table


if __name__ == "__main__":
    main()
