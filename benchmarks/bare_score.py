"""The least that scoring a folder can be: threads that decode, frame and embed, without Beam.

    python -m benchmarks.bare_score --input FOLDER --model MODEL --limit 2000 --threads 2

It reads, decodes, frames and embeds by the functions that `facemill score` uses, so each image has
the same embedding. It leaves out what makes scoring a job: the listing, reasons, measures of
quality, hashes of contents, Parquet, checks and the manifest. With `--users-loop` it is the loop
that people write: one image after the other, one call of the model for each.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from facemill.model.runtimes import registry as runtimes
from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import Crop, CropConfig, frame
from facemill.transforms.images.decode import decode
from facemill.transforms.images.process import prepare_process
from facemill.transforms.images.resize import encode_jpeg

_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--users-loop", action="store_true")
    given = parser.parse_args()
    prepare_process()
    manifest = artifact.read_manifest(given.model, "model")
    crop_config = CropConfig.from_manifest(manifest["preprocessing"])
    spec = runtimes.choose(manifest, "auto")
    paths = sorted(str(path) for path in Path(given.input).rglob("*") if path.is_file())
    paths = paths[: given.limit]
    threads, size = (1, 1) if given.users_loop else (given.threads, _BATCH)
    # Each thread has a network of its own, so no thread ever waits for another.
    network = f"{given.model}/{spec.file}"
    models = [
        runtimes.load(spec, manifest["embedding_size"], size, 1, network) for _ in range(threads)
    ]
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    shares = [batches[number::threads] for number in range(threads)]
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(_embed_all, shares, models, [crop_config] * threads))
    print(f"{sum(found)} images, {len(paths) / (time.monotonic() - started):.1f} images/s")


def _embed_all(batches: list[list[str]], model: runtimes.ImageEmbedder, config: CropConfig) -> int:
    count = 0
    for batch in batches:
        pixels = np.stack(list(_crops(batch, config)))
        count += len(model(pixels))
    return count


def _crops(paths: list[str], config: CropConfig) -> Iterator[np.ndarray]:
    for path in paths:
        decoded = decode(Path(path).read_bytes())
        (crop,) = frame(config, [decoded.pixels], [None], [decoded.scale])
        if isinstance(crop, Crop):
            # Training saw crops through JPEG, so that is part of framing.
            yield decode(encode_jpeg(crop.pixels)).pixels


if __name__ == "__main__":
    main()
