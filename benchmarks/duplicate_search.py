"""The search for near duplicates step by step, as benchmarks.duplicates measures it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from facemill.transforms.duplicates import banding, budget, confirm
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.local_evidence import sized
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import decode

_Result = TypeVar("_Result")


def timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    """CPU seconds of this process, and what `work` returns."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def read_photos(folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
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


class Crops:
    """Grey crops of the images of a folder, read when a pair needs them."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder, self._names = folder, names

    def __call__(self, rows: np.ndarray) -> list[np.ndarray]:
        read = {row: self._read(row) for row in dict.fromkeys(rows.tolist())}
        return [read[row] for row in rows.tolist()]

    def _read(self, row: int) -> np.ndarray:
        pixels = decode((self._folder / self._names[row]).read_bytes()).pixels
        return sized(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def near_pairs(hashes: np.ndarray, thumbnails: np.ndarray, crops: Crops) -> np.ndarray:
    """Row numbers of the pairs that `near` confirms, two columns."""
    return _confirmed(_near_rows(hashes), thumbnails, crops)


def thorough_pairs(
    hashes: np.ndarray, windows: np.ndarray, thumbnails: np.ndarray, crops: Crops
) -> np.ndarray:
    """Row numbers of the pairs that `thorough` confirms, two columns."""
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


def _confirmed(rows: np.ndarray, thumbnails: np.ndarray, crops: Crops) -> np.ndarray:
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
    part: np.ndarray, same: np.ndarray, thumbnails: np.ndarray, crops: Crops, some: np.ndarray
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
