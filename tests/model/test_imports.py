import subprocess
import sys

import pytest

MODULES = """
import importlib, pkgutil, sys
import facemill.model as model
names = [info.name for info in pkgutil.walk_packages(model.__path__, "facemill.model.")]
for name in names:
    importlib.import_module(name)
print(len(names))
unwanted = ("apache_beam", "tensorflow_transform", "facemill.pipelines")
print([name for name in unwanted if name in sys.modules])
"""

LIGHT = """
import sys
import facemill.model.recipes.recipe, facemill.model.recipes.choices
from facemill.model.recipes import default, demo, lfw
import facemill.pipelines.train.options
print([name for name in ("tensorflow", "keras", "apache_beam") if name in sys.modules])
"""


def lines(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


@pytest.mark.moderate
def test_no_module_of_model_imports_beam_or_pipelines():
    count, found = lines(MODULES)
    assert int(count) >= 20
    assert found == "[]"


def test_options_and_recipes_import_no_tensorflow():
    assert lines(LIGHT) == ["[]"]
