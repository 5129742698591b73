"""An artifact of one file, for the tests of reading and of writing artifacts."""

import os
from pathlib import Path

from facemill.transforms.dataset import artifact, writing

OPTIONS = {"size": 32, "split": (("train", 1.0),)}


def write(output, options=OPTIONS, inputs=None, content: bytes = b"content", keep=()) -> bool:
    """Writes an artifact with one file; False if it was already complete."""
    with writing.begin(str(output), "dataset", options, inputs=inputs, keep=keep) as work:
        if work is None:
            return False
        Path(work.path("index", "part.bin")).write_bytes(content)
        files = [artifact.file_entry(work.scratch, "index/part.bin")]
        promote = [(os.path.join(work.scratch, "index"), "index")]
        work.commit({"counts": {"listed": 1}, "files": files}, promote, {"workers": 2})
    return True
