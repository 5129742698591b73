"""A dataset that many tests of ingest start from."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """(photos, dataset) of ten identities."""
    # Not before it is wanted: it loads TensorFlow, which quick tests do without.
    from tests.pipelines.ingest.ingesting import draw, ingest

    root = tmp_path_factory.mktemp("base")
    for identity in range(10):
        for image in range(4):
            draw(root / "photos", identity, image)
    ingest(root / "photos", root / "dataset")
    return root
