from pathlib import Path

import apache_beam
import pytest

from tests import needs
from tests.portable import prism, prism_build

_TOOLS = Path(__file__).parents[2] / ".tools"


def built() -> Path:
    """The program of Prism; skips where it cannot be built, but fails in CI."""
    try:
        return prism_build.install(_TOOLS, apache_beam.__version__)
    except prism_build.UnavailableError as error:
        needs.missing(str(error))
        raise


@pytest.fixture(scope="session")
def prism_flags(tmp_path_factory):
    """Flags that run a job on Prism; skips where Prism cannot be built, but fails in CI."""
    with prism.serving(built(), tmp_path_factory.mktemp("prism")) as flags:
        yield flags
