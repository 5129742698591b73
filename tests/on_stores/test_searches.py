"""match, enroll, cluster and compact on a store give the bytes that they give on a disk."""

from pathlib import Path
from typing import Any

import pytest

from facemill.pipelines import cli
from tests import embedding_sets
from tests.artifacts import contents
from tests.embedding_sets import draw, named
from tests.on_stores.copies import contents_of, names_in
from tests.sharing import made_once, run_folder

pytestmark = pytest.mark.slow

PEOPLE, IMAGES = 4, 3


def run(*words: Any) -> None:
    assert cli.main([str(word) for word in words]) == 0


def make(root: Path | str) -> None:
    """Two nights of embeddings, and what the commands make of them."""
    ids, who = named(PEOPLE, IMAGES)
    vectors = draw(1, PEOPLE, IMAGES, 32, 0.3)
    for night, rows in (("a", slice(0, 9)), ("b", slice(6, 12))):
        embedding_sets.write(f"{root}/nights/{night}", ids[rows], vectors[rows], who[rows])
    run("compact", "--partitions", f"{root}/nights", "--output", f"{root}/all")
    given = ("--embeddings", f"{root}/all")
    run("enroll", *given, "--output", f"{root}/templates")
    run("cluster", *given, "--output", f"{root}/people", "--threshold", 0.6, "--workers", 1)
    sets = ("--probes", f"{root}/all", "--gallery", f"{root}/templates")
    run("match", *sets, "--output", f"{root}/matches", "--threshold", 0.6, "--workers", 1)


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    return made_once(run_folder(tmp_path_factory), "searches", make)


def test_all_commands_write_the_artifacts_of_a_disk(root, here, tmp_path):
    make(root)
    for name in ("all", "templates", "people", "matches"):
        there = contents_of(f"{root}/{name}", tmp_path / name)
        assert there == contents(here / name)
        assert not any(one.startswith(".") for one in names_in(f"{root}/{name}"))


def test_a_scratch_on_the_store_changes_nothing(root, here, tmp_path):
    embeddings = f"{root}/all"
    ids, who = named(PEOPLE, IMAGES)
    embedding_sets.write(embeddings, ids, draw(1, PEOPLE, IMAGES, 32, 0.3), who)
    for name, words in (
        ("people", ("cluster", "--embeddings", embeddings)),
        ("matches", ("match", "--probes", embeddings, "--gallery", embeddings)),
    ):
        flags = ("--threshold", 0.6, "--workers", 1)
        for scratch in ("disk", "store"):
            output = f"{root}/{name}-{scratch}"
            run(*words, "--output", output, "--scratch", scratch, *flags)
        one, other = (
            contents_of(f"{root}/{name}-{scratch}", tmp_path / f"{name}-{scratch}")
            for scratch in ("disk", "store")
        )
        assert one == other
