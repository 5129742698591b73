"""Only the pipelines know flags: the library names parameters, and each has an option."""

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemill.pipelines import cli
from facemill.pipelines.common.flags import flags_of
from facemill.pipelines.common.options import add_arguments

ROOT = Path(__file__).parents[1]
SOURCES = [path for top in ("model", "transforms") for path in sorted((ROOT / top).rglob("*.py"))]
# Of `registry.build`, which a command calls by the option that it came from, and of `shares`.
RENAMED = {"images_root", "worker"}


@pytest.mark.parametrize("top", ["model", "transforms"])
def test_no_text_of_the_library_holds_a_flag(top):
    held = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if path.is_relative_to(ROOT / top)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"(?<![\w-])--[a-z]", line)
    ]
    assert not held, "\n".join(held)


def _named(path: Path) -> Iterator[str]:
    """Names in back quotes in the texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield from re.findall(r"`([a-z][a-z0-9_]*)`", node.value)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "ParameterError"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value


@pytest.mark.moderate
def test_each_parameter_that_the_library_names_is_an_option_of_a_command():
    options: set[str] = set()
    for command in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        module = importlib.import_module(cli.module_of(command, "options"))
        add_arguments(parser, module.OPTIONS)
        options |= set(flags_of(parser))
    named = {name for path in SOURCES for name in _named(path)}
    assert {"input", "output", "workers", "learning_rate", "label_column", "pairs"} <= named
    assert named - RENAMED <= options
