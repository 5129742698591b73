"""The check of a worker's version of facemill."""

import pickle
import platform
from importlib import metadata

import pytest

from facemill.transforms.core import same_version
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.same_version import SameVersion, VersionError


@pytest.fixture
def version(monkeypatch):
    """Sets the version that is installed here."""

    def set_to(text: str) -> None:
        monkeypatch.setattr(same_version, "installed_version", lambda: text)

    return set_to


def test_it_is_unpickled_with_the_same_version():
    assert isinstance(pickle.loads(pickle.dumps(SameVersion())), SameVersion)


def test_another_version_is_one_sentence(version, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "node7")
    version("1.2")
    pickled = pickle.dumps(SameVersion())
    version("1.1")
    with pytest.raises(VersionError) as failed:
        pickle.loads(pickled)
    assert isinstance(failed.value, RunError)
    assert (failed.value.wanted, failed.value.found, failed.value.machine) == (
        "1.2",
        "1.1",
        "node7",
    )
    assert str(failed.value) == (
        "All workers must have facemill 1.2, which submitted the job, got 1.1 on node7; install "
        "facemill 1.2 there and start the workers again."
    )


def test_the_version_is_that_of_the_package():
    assert same_version.installed_version() == metadata.version("facemill")


def test_sources_that_are_not_installed_have_no_version(monkeypatch):
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert same_version.installed_version.__wrapped__() == "no version"
