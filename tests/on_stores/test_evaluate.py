"""Each protocol of evaluation gives on a store the bytes that it gives on a disk."""

from pathlib import Path

import numpy as np
import pytest

from facemill.pipelines import cli
from facemill.transforms import storage
from tests import embedding_sets
from tests.artifacts import contents
from tests.on_stores.copies import contents_of
from tests.pair_files import of_python_2
from tests.pipelines.evaluate.test_clustering import write_clusters
from tests.stores import Store

pytestmark = pytest.mark.slow

IDS, WHO = embedding_sets.named(8, 4)
ROLES = ["image_id,role", *(f"{one},{'probe' if '/3' in one else 'gallery'}" for one in IDS)]
FILES = {
    "roles.csv": "\n".join(ROLES).encode(),
    "media.txt": "".join(f"{one} {at // 2} {at}\n" for at, one in enumerate(IDS)).encode(),
    "templates.txt": b"0 1 1\n2 3 1\n0 3 0\n1 4 0\n",
    "x.bin": of_python_2([b"jpeg"] * 32, [True, False] * 8),
    "pairs.csv": b"p00/0.jpg,p00/1.jpg\np01/0.jpg,p01/1.jpg\n"
    b"p00/0.jpg,p01/0.jpg\np00/2.jpg,p01/3.jpg\n",
}
PROTOCOLS = {
    "identification": ("--list", "roles.csv", "--distractors", "strangers"),
    "open-set": ("--seed", "3"),
    "bin": ("--pairs", "x.bin"),
    "templates": ("--list", "media.txt", "--pairs", "templates.txt"),
    "clustering": ("--clusters", "clusters"),
    "pairs": ("--pairs", "pairs.csv"),
}


def write_inputs(root: str) -> None:
    vectors = embedding_sets.draw(1, 8, 4)
    ids, who = [*IDS, *(f"x.bin/{n:06d}" for n in range(32))], [*WHO, *[None] * 32]
    both = np.concatenate([vectors, embedding_sets.draw(2, 16, 2)])
    embedding_sets.write(f"{root}/embeddings", ids, both, who)
    strangers = embedding_sets.draw(3, 20, 1, noise=3)
    embedding_sets.write(f"{root}/strangers", [f"s{n}" for n in range(20)], strangers)
    write_clusters(f"{root}/clusters", dict(zip(IDS, "aaaabbbbcccccccc" * 2, strict=True)))
    for name, data in FILES.items():
        storage.write_atomically(f"{root}/{name}", data)


def evaluate(root: str, protocol: str) -> str:
    flags = [
        f"{root}/{word}" if before.startswith("--") and before != "--seed" else word
        for before, word in zip(("", *PROTOCOLS[protocol]), PROTOCOLS[protocol], strict=False)
    ]
    given = ["--embeddings", f"{root}/embeddings", "--protocol", protocol, *flags]
    output = f"{root}/figures-{protocol}"
    assert cli.main(["evaluate", *given, "--output", output]) == 0
    return output


def test_every_protocol(store: Store, tmp_path: Path):
    there, here = store.new_root(), str(tmp_path / "here")
    (tmp_path / "here").mkdir()
    for root in (there, here):
        write_inputs(root)
    for protocol in PROTOCOLS:
        written = evaluate(there, protocol)
        found = contents_of(written, tmp_path / f"copy-{protocol}")
        assert found == contents(Path(evaluate(here, protocol)))
        assert "results.json" in found
