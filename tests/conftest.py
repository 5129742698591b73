"""Small artifacts that several tests read: made once in a run, by whichever worker asks first.

No test may change them: one that damages an artifact copies it first.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facemill.pipelines import cli
from facemill.transforms.core import cores
from tests.commands import facemill
from tests.sharing import made_once, run_folder

SIZE = 32


# How long a marked test takes, very roughly; quick tests count as nothing.
_COST = {"slow": 1, "lfw": 30, "portable": 30}


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for other processes, servers and clocks."""
    return cores.usable() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves all but quick tests out of the coverage, and runs the files with slow ones first.

    The others spend their time in Beam, TensorFlow and other processes, of which coverage sees
    nothing and whose calls it slows down by half and more.

    Pytest's workers take whole files. If a long one came last, the others would have nothing left
    to do; so the files that take longest come first, and those with quick tests alone fill up the
    end. (By itself pytest-xdist sorts files by their number of tests, which puts the longest
    files last; the Makefile switches that off.)
    """
    costs: Counter[Path] = Counter()
    for item in items:
        marks = [name for name in _COST if item.get_closest_marker(name)]
        if marks:
            item.add_marker(pytest.mark.no_cover)
            costs[item.path] += max(_COST[name] for name in marks)
        elif item.get_closest_marker("moderate"):
            item.add_marker(pytest.mark.no_cover)
    # Sorting is stable: the tests of a file keep their order.
    items.sort(key=lambda item: (-costs[item.path], str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard() -> None:
    """Tests that interrupt a run work also where a shell started pytest in the background.

    Such a process ignores SIGINT, and Python then leaves it so.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _commands_lack_what_only_tests_bring() -> Iterator[None]:
    """Processes that tests start find what a plain installation has."""
    left_out = str(Path(__file__).parent / "left_out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", left_out, prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def _beam_remembers_specs() -> None:
    """Graphs that tests build are as fast as those of commands."""
    from facemill.transforms.core import dofn_specs

    dofn_specs.remember_specs()


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory) -> Path:
    """12 identities with 8 images of 32 x 32 each."""

    def make(folder: Path) -> None:
        flags = ["--identities", "12", "--images-per-identity", "8", "--image-size", str(SIZE)]
        output = ["--output", str(folder / "photos")]
        assert cli.main(["synthesize", *output, "--workers", "1", *flags]) == 0

    return made_once(run_folder(tmp_path_factory), "tiny_photos", make) / "photos" / "images"


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory, tiny_photos) -> Path:
    """The dataset of `tiny_photos`."""

    def make(folder: Path) -> None:
        flags = ["--image-size", str(SIZE), "--split", "train=0.7,val=0.3"]
        output = ["--output", str(folder / "dataset")]
        assert cli.main(["ingest", "--input", str(tiny_photos), *output, *flags]) == 0

    return made_once(run_folder(tmp_path_factory), "tiny_dataset", make) / "dataset"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, tiny_dataset) -> Path:
    """A model of `tiny_dataset`; how well it does is not the point."""

    def make(folder: Path) -> None:
        # A process of its own: TensorFlow's devices and determinism can be set once in each.
        facemill("train", "--dataset", tiny_dataset, "--output", folder / "model", *TRAINING)

    return made_once(run_folder(tmp_path_factory), "tiny_model", make) / "model"


@pytest.fixture(scope="module", params=["s3", "gs"])
def store(request) -> Iterator[Any]:
    """An object store with one bucket, of either kind: a `tests.stores.Store`."""
    # The clients and the emulators take seconds to import.
    from tests.stores import EMULATORS

    with EMULATORS[request.param]() as store:
        yield store


@pytest.fixture
def root(store) -> str:
    """The URL of an empty folder on the store."""
    return store.new_root()


TRAINING = (
    *("--backbone", "plain", "--head", "softmax", "--embedding-size", "16"),
    *("--epochs", "2", "--batch-size", "16", "--validation-pairs", "20"),
)
