"""A dataset that many tests of ingest start from."""

from pathlib import Path

import pytest

from tests.sharing import made_once, run_folder


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """(photos, dataset) of ten identities."""
    # Imported here, since it loads TensorFlow, which quick tests do without.
    from tests.pipelines.ingest.ingesting import draw, ingest

    def make(root: Path) -> None:
        for identity in range(10):
            for image in range(4):
                draw(root / "photos", identity, image)
        ingest(root / "photos", root / "dataset")

    return made_once(run_folder(tmp_path_factory), "base", make)
