"""Each constant and each list of choices is assigned in one module, read from the sources."""

import ast
import importlib
from collections import defaultdict
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sources:
    """What the sources write, with the module and for lists the line of each place.

    Attributes:
        names: that a module's own lines assign.
        lists: sets of the elements of each tuple, list and set.
        texts: constants.
    """

    names: dict[str, list[str]]
    lists: dict[frozenset, list[str]]
    texts: dict[str, set[str]]


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Read once; the parsed modules together would be half a million objects."""
    found = Sources(defaultdict(list), defaultdict(list), defaultdict(set))
    for top in ("pipelines", "model", "transforms"):
        for file in sorted((ROOT / top).rglob("*.py")):
            path, tree = file.relative_to(ROOT).as_posix(), ast.parse(file.read_text("utf-8"))
            for name in assigned(tree):
                found.names[name].append(path)
            for node in ast.walk(tree):
                if isinstance(node, ast.Tuple | ast.List | ast.Set):
                    elements = frozenset(getattr(one, "value", None) for one in node.elts)
                    found.lists[elements].append(f"{path}:{node.lineno}")
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.texts[node.value].add(path)
    return found


@pytest.mark.parametrize(("name", "home"), (CHOICES | NUMBERS | TEXTS).items())
def test_a_name_is_assigned_in_its_home_alone(sources, name, home):
    assert sources.names[name] == [home]


@pytest.mark.moderate
@pytest.mark.parametrize("name", ["SPLITS", "LEVELS", "ALIGNMENTS", "DETECTORS", "NETWORKS"])
def test_no_other_module_repeats_a_list_of_choices(sources, name):
    home = CHOICES[name].removesuffix(".py").replace("/", ".")
    value = getattr(importlib.import_module(f"facemill.{home}"), name)
    repeats = sources.lists[frozenset(value)]
    # The home itself is not among them where it is made of shorter lists.
    assert {where.partition(":")[0] for where in repeats} <= {CHOICES[name]}, repeats


@pytest.mark.moderate
@pytest.mark.parametrize(("text", "home"), WRITTEN_ONCE.items())
def test_a_name_that_two_sides_share_is_written_once(sources, text, home):
    assert sources.texts[text] == {home}
