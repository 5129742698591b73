"""A TensorFlow Datasets builder; runs in an environment of its own, see benchmarks/ingest.py.

With `copy` it copies the files into records without decoding them. With `decode` it decodes them,
cuts out the center and resizes it, as an ingest run does before it encodes.

    python peer_tfds.py INPUT OUTPUT copy|decode
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

ROOT, OUTPUT, MODE = sys.argv[1:]


class Faces(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        side = None if MODE == "copy" else 112
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(side, side, 3), encoding_format="jpeg"),
                    "image_id": tfds.features.Text(),
                    "identity": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(self, manager: Any) -> dict[str, Iterator]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for folder in sorted(os.listdir(ROOT)):
            for name in sorted(os.listdir(os.path.join(ROOT, folder))):
                path = os.path.join(ROOT, folder, name)
                image = path if MODE == "copy" else _center_crop(path)
                key = f"{folder}/{name}"
                yield key, {"image": image, "image_id": key, "identity": folder}


def _center_crop(path: str) -> np.ndarray:
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    side = min(pixels.size)
    left, top = (pixels.width - side) // 2, (pixels.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(pixels.resize((112, 112), Image.Resampling.BOX, box=box))


if __name__ == "__main__":
    Faces(data_dir=OUTPUT).download_and_prepare(file_format="tfrecord")
