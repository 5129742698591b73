"""Whether the memory of `facemill score` stays the same as inputs grow.

    python -m benchmarks.score_memory 5000 200000 --folder /tmp/score-memory

The claim: 200,000 images take as much memory as 5,000, in all processes together. Most of the time
of scoring is the network's, which keeps nothing of an image. So a network of one small layer takes
its place, and a few thousand synthetic photos stand under many names (hard links).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.scale import collection
from benchmarks.usage import run

_FACEMILL = [sys.executable, "-m", "facemill.pipelines.cli"]
_PHOTOS = 5_000
_SIDE, _NUMBERS = 32, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=int, nargs="*", default=[5_000, 200_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where photos are kept; a temporary one if not given")
    given = parser.parse_args()
    print(f"{'images':>9} | images/s  CPU ms/image | MB: largest process, all")
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        model = small_model(folder)
        for images in given.images:
            output = os.path.join(temporary, f"embeddings-{images}")
            flags = ("--output", output, "--workers", str(given.workers))
            usage = run(
                [*_FACEMILL, "score", "--input", _names(folder, images), "--model", model, *flags]
            )
            print(
                f"{images:>9,} | {images / usage.wall:>8,.0f} {1000 * usage.cpu / images:>13.2f} | "
                f"{usage.largest / 1e6:>19,.0f} {usage.tree / 1e6:>4,.0f}",
                flush=True,
            )


def _names(folder: str, images: int) -> str:
    """A folder of so many names of photos, made once."""
    root = Path(folder, f"names-{images}")
    photos = Path(collection(folder, _PHOTOS))
    found = sorted(path for path in photos.rglob("*") if path.is_file())
    if not root.exists():
        for number in range(images):
            photo = found[number % len(found)]
            name = root / f"{number // len(found):03d}-{photo.parent.name}" / photo.name
            name.parent.mkdir(parents=True, exist_ok=True)
            os.link(photo, name)
    return str(root)


def small_model(folder: str) -> str:
    """A model artifact of one layer, made once."""
    output = os.path.join(folder, "model")
    if not os.path.exists(os.path.join(output, "manifest.json")):
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(1)
        layers = [keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
        network = keras.Sequential([keras.Input((_SIDE, _SIDE, 3)), *layers])
        network.add(keras.layers.Dense(_NUMBERS))
        file = os.path.join(folder, "small.tflite")
        Path(file).write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
        flags = ("--align", "center", "--normalize", "--mean", "127.5", "--scale", "0.0078125")
        run([*_FACEMILL, "import-model", "--file", file, "--output", output, *flags])
    return output


if __name__ == "__main__":
    main()
