"""Each constant and each list of choices is assigned in one module, read from the sources."""

import ast
import importlib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The module of each; no other module may assign the name or repeat the value.
CHOICES = {
    "RECIPES": "model/recipes/choices.py",
    "NETWORKS": "model/recipes/choices.py",
    "HEADS": "model/recipes/choices.py",
    "OPTIMIZERS": "model/recipes/choices.py",
    "RUNTIMES": "model/runtimes/choices.py",
    "LAYOUTS": "model/runtimes/choices.py",
    "PRESETS": "model/runtimes/presets.py",
    "PROTOCOLS": "pipelines/evaluate/options.py",
    "SPLITS": "transforms/dataset/split_names.py",
    "FOLDERS": "transforms/dataset/split_names.py",
    "LEVELS": "transforms/duplicates/choices.py",
    "POLICIES": "transforms/duplicates/choices.py",
    "ALIGNMENTS": "transforms/faces/choices.py",
    "DETECTORS": "transforms/faces/choices.py",
    "PREFERENCES": "transforms/selection/choices.py",
    "SPLIT_UNITS": "transforms/selection/choices.py",
}
NUMBERS = {
    "MIN_SIDE": "transforms/images/limits.py",
    "MAX_BYTES": "transforms/images/limits.py",
    "MAX_PIXELS": "transforms/images/limits.py",
    "MAX_JPEG_PIXELS": "transforms/images/limits.py",
}
# Names that a writer and a reader share; `label` and `identities` are words of other things too.
TEXTS = {
    "LABEL": "transforms/dataset/transform_names.py",
    "PIXEL_MEAN": "transforms/dataset/transform_names.py",
    "PIXEL_STD": "transforms/dataset/transform_names.py",
    "VOCABULARY": "transforms/dataset/transform_names.py",
    "WEIGHT": "transforms/dataset/records.py",
    "EFFECTIVE_NUMBER": "transforms/selection/rules.py",
}
WRITTEN_ONCE = {
    "pixel_mean": "transforms/dataset/transform_names.py",
    "pixel_std": "transforms/dataset/transform_names.py",
    "transform_fn": "transforms/dataset/transform_names.py",
    "effective-number": "transforms/selection/rules.py",
    "keep-majority": "transforms/duplicates/choices.py",
}


def assigned(tree: ast.Module) -> set[str]:
    """The names that a module's own lines assign, `_NAME` as `NAME`."""
    found = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            found |= {
                name.id.lstrip("_") for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return found


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The parsed sources, which are half a million objects: only while these tests run."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for top in ("pipelines", "model", "transforms")
        for path in sorted((ROOT / top).rglob("*.py"))
    }


@pytest.fixture(scope="module")
def homes(trees) -> dict[str, list[str]]:
    found = defaultdict(list)
    for path, tree in trees.items():
        for name in assigned(tree):
            found[name].append(path)
    return found


@pytest.mark.parametrize(("name", "home"), (CHOICES | NUMBERS | TEXTS).items())
def test_a_name_is_assigned_in_its_home_alone(homes, name, home):
    assert homes[name] == [home]


@pytest.mark.parametrize("name", ["SPLITS", "LEVELS", "ALIGNMENTS", "DETECTORS", "NETWORKS"])
def test_no_other_module_repeats_a_list_of_choices(trees, name):
    home = CHOICES[name].removesuffix(".py").replace("/", ".")
    value = getattr(importlib.import_module(f"facemill.{home}"), name)
    repeats = [
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List | ast.Set)
        and {getattr(one, "value", None) for one in node.elts} == set(value)
    ]
    # The home itself is not among them where it is made of shorter lists.
    assert {where.partition(":")[0] for where in repeats} <= {CHOICES[name]}, repeats


@pytest.mark.parametrize(("text", "home"), WRITTEN_ONCE.items())
def test_a_name_that_two_sides_share_is_written_once(trees, text, home):
    homes = [
        path
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == text
    ]
    assert set(homes) == {home}
