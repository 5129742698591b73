import pytest

from facemill.model.data.vocabulary import Transform
from tests.model import tiny


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A dataset of twelve identities at 32 x 32 pixels, in one shard for each split."""
    return tiny.dataset(tmp_path_factory)


@pytest.fixture(scope="session")
def manifest(dataset):
    return tiny.manifest(dataset)


@pytest.fixture(scope="session")
def transform(dataset, manifest):
    return Transform(str(dataset), manifest)
