"""Writes insightface's `.bin` files, in the ways that people have written them."""

import pickle
import pickletools
from collections.abc import Sequence

import numpy as np


def of_python_2(images: Sequence[bytes], labels: Sequence[bool]) -> bytes:
    """As Python 2 wrote it, which most files in use are from: byte strings in protocol 2."""

    def text(data: bytes) -> bytes:
        short = len(data) < 256
        return b"U" + bytes([len(data)]) + data if short else (
            b"T" + len(data).to_bytes(4, "little") + data
        )  # fmt: skip

    items = b"".join(text(image) + b"q\x01" for image in images)
    flags = b"".join(b"\x88" if label else b"\x89" for label in labels)
    made = b"\x80\x02]q\x02(" + items + b"e](" + flags + b"e\x86."
    assert pickle.loads(made, encoding="bytes") == (list(images), list(labels))
    return made


def of_arrays(images: Sequence[bytes], labels: Sequence[bool], protocol: int = 4) -> bytes:
    """With numpy's arrays for images and labels."""
    arrays = [np.frombuffer(image, np.uint8) for image in images]
    return pickle.dumps((arrays, np.array(labels, bool)), protocol)


WRITERS = {
    "python 2": of_python_2,
    "3, protocol 1": lambda images, labels: pickle.dumps((list(images), list(labels)), 1),
    "3, protocol 2": lambda images, labels: pickle.dumps((list(images), list(labels)), 2),
    "arrays 2": lambda images, labels: of_arrays(images, labels, 2),
    "3": lambda images, labels: pickle.dumps((list(images), list(labels)), 3),
    "4": lambda images, labels: pickle.dumps((list(images), list(labels)), 4),
    "5": lambda images, labels: pickle.dumps([tuple(images), [int(one) for one in labels]], 5),
    "bytearrays": lambda images, labels: pickle.dumps(([*map(bytearray, images)], labels), 4),
    "bytearrays 5": lambda images, labels: pickle.dumps(([*map(bytearray, images)], labels), 5),
    "arrays": of_arrays,
    "arrays 5": lambda images, labels: of_arrays(images, labels, 5),
    "numpy's truth": lambda images, labels: pickle.dumps(
        (list(images), [np.bool_(one) for one in labels]), 4
    ),
    "optimized": lambda images, labels: pickletools.optimize(
        pickle.dumps((list(images), list(labels)), 4)
    ),
}
