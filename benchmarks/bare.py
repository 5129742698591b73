"""The bare limit of an ingest run: the work on each image in a process pool, and nothing else.

Reads, hashes, decodes, frames, measures, encodes and hashes for the duplicate search by the
functions that `transforms.scan.scan_chunk` calls, and writes the records into TFRecord files, one
for each chunk. No listing by a runner, no staging, no duplicates, no split, no index, no report.

    python -m benchmarks.bare INPUT OUTPUT WORKERS
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time

import cv2

from facemill.transforms.core.row_ids import CHUNK
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import Record
from facemill.transforms.faces.crop import CropConfig, frame
from facemill.transforms.images import perceptual_hash
from facemill.transforms.images.decode import decode
from facemill.transforms.images.quality import measure
from facemill.transforms.images.resize import encode_jpeg

_CROP = CropConfig()


def write(job: tuple[str, str, int, list[str]]) -> int:
    """Processes one chunk of paths; returns how many images it has."""
    root, output, number, names = job
    with open(os.path.join(output, f"{number:06d}.tfrecord"), "wb") as stream:
        for name in names:
            with open(os.path.join(root, name), "rb") as image:
                data = image.read()
            hashlib.sha256(data).hexdigest()
            decoded = decode(data)
            perceptual_hash.pixel_sha256(decoded.pixels)
            (framed,) = frame(_CROP, [decoded.pixels], [None])
            if isinstance(framed, str):
                raise SystemExit(f"{name}: {framed}")
            measure(framed.pixels)
            small = perceptual_hash.small(framed.pixels)
            perceptual_hash.dct_hash(small)
            perceptual_hash.grey_thumbnail(small)
            means, deviations = cv2.meanStdDev(framed.pixels)
            record = Record(
                name,
                name.split("/")[0],
                encode_jpeg(framed.pixels),
                tuple(means[:, 0]),
                tuple(deviations[:, 0] ** 2 + means[:, 0] ** 2),
            )
            stream.write(tfrecord.frame(record.to_example()))
    return len(names)


def main() -> None:
    root, output, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.makedirs(output)
    started = time.monotonic()
    names = [f"{folder}/{name}" for folder in os.listdir(root) for name in _files(root, folder)]
    jobs = [
        (root, output, start, names[start : start + CHUNK]) for start in range(0, len(names), CHUNK)
    ]
    with multiprocessing.Pool(workers) as pool:
        count = sum(pool.imap_unordered(write, jobs))
    print(json.dumps({"images": count, "seconds": time.monotonic() - started}))


def _files(root: str, folder: str) -> list[str]:
    return os.listdir(os.path.join(root, folder))


if __name__ == "__main__":
    main()
