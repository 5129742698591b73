"""The same searches on a portable runner, its workers in another process."""

import json

import pytest

from facemill.pipelines import cli
from tests import embedding_sets
from tests.artifacts import contents
from tests.commands import facemill
from tests.embedding_sets import draw, named

pytestmark = [pytest.mark.portable, pytest.mark.slow]


@pytest.mark.parametrize("command", ["match", "cluster"])
def test_what_is_found_is_byte_equal_to_a_local_run(command, tmp_path, prism_flags):
    ids, who = named(8, 5)
    embeddings = embedding_sets.write(tmp_path / "e", ids, draw(1, 8, 5, 32, 0.3), who)
    given = {
        "match": ["--probes", embeddings, "--gallery", embeddings],
        "cluster": ["--embeddings", embeddings],
    }
    words = [command, *given[command], "--threshold", "0.6"]
    assert cli.main([*words, "--output", str(tmp_path / "local")]) == 0
    facemill(*words, "--output", tmp_path / "prism", *prism_flags, timeout=300)
    assert contents(tmp_path / "local") == contents(tmp_path / "prism")
    run = json.loads((tmp_path / "prism" / "run.json").read_text())
    assert run["runner"] == "PortableRunner"
