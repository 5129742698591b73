"""The names that `import facemill` provides, and the packages that it does not import."""

import subprocess
import sys
from importlib import metadata

import pytest

import facemill

HEAVY = ("numpy", "pyarrow", "apache_beam", "tensorflow", "keras", "cv2", "PIL")


def printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def test_importing_facemill_imports_no_heavy_package():
    found = f"[name for name in {HEAVY} if name in sys.modules]"
    assert printed(f"import sys, facemill; dir(facemill); print({found})") == "[]"


def test_reading_an_index_loads_neither_beam_nor_tensorflow():
    code = "import sys, facemill; facemill.read_index; facemill.UsageError; print({})"
    found = "[name for name in ('apache_beam', 'tensorflow') if name in sys.modules]"
    assert printed(code.format(found)) == "[]"


@pytest.mark.parametrize("name", facemill.__all__)
def test_every_public_name_can_be_imported_and_is_listed(name):
    assert getattr(facemill, name) is getattr(facemill, name)
    assert name in dir(facemill)


def test_the_version_is_that_of_the_installed_package():
    assert facemill.__version__ == metadata.version("facemill")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_datasets'"):
        facemill.load_datasets  # noqa: B018


def test_the_beam_module_exports_the_names_of_its_all():
    from facemill import beam

    assert all(hasattr(beam, name) for name in beam.__all__)
