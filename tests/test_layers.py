"""The layers of the code: which folder may import which, read from the sources."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("pipelines", "model", "transforms")

# A folder may import only from layers further down this list, not from others of its own layer.
LAYERS = (
    ("pipelines",),
    ("model",),
    ("transforms/shards",),
    ("transforms/search", "transforms/selection"),
    ("transforms/duplicates", "transforms/scoring"),
    ("transforms/scan",),
    ("transforms/sources",),
    ("transforms/dataset", "transforms/faces"),
    ("transforms/images", "transforms/storage"),
    ("transforms/core",),
)
LAYER_OF = {folder: layer for layer, folders in enumerate(LAYERS) for folder in folders}


def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(("facemill", *(p for p in parts if p != "__init__")))] = path
    return found


MODULES = modules()


@functools.cache
def statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """The imports anywhere in a file."""
    text = path.read_text("utf-8")
    return [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports anywhere in it."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("facemill"))
        elif (node.module or "").startswith("facemill"):
            for alias in node.names:
                full_name = f"{node.module}.{alias.name}"
                yield full_name if full_name in MODULES else str(node.module)


def folder_of(module: str) -> str:
    top, *rest = module.removeprefix("facemill.").split(".")
    return f"{top}/{rest[0]}" if top == "transforms" and rest else top


def test_every_folder_has_a_layer():
    folders = {folder_of(name) for name in MODULES} - {"transforms"}
    assert folders <= set(LAYER_OF)


@pytest.mark.moderate
def test_imports_go_down():
    upward = [
        f"{name} imports {target}"
        for name, path in MODULES.items()
        if name != "facemill.transforms"
        for target in imports(path)
        if folder_of(target) in LAYER_OF
        and folder_of(name) != folder_of(target)
        and LAYER_OF[folder_of(target)] <= LAYER_OF[folder_of(name)]
    ]
    assert not upward, "\n".join(upward)


@pytest.mark.moderate
def test_imports_make_no_circle():
    graph = {name: {t for t in imports(path) if t != name} for name, path in MODULES.items()}
    # A package's own file is imported with each of its modules, and only names what it holds.
    graph = {name: {t for t in targets if t in graph} for name, targets in graph.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            pytest.fail(" -> ".join((*path[path.index(name) :], name)))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.moderate
def test_no_module_imports_the_folders_by_their_bare_names():
    """`import transforms` finds another copy of the code, or another project's."""
    bare = [
        str(path.relative_to(ROOT))
        for folder in (*TOP, "tests", "benchmarks", "facemill", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in statements(path)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in TOP)
        or (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] in TOP for alias in node.names)
        )
    ]
    assert not bare


def test_the_rooms_that_the_architecture_page_names_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| an? ", line)]
    assert len(rows) == 16
    for row in rows:
        _, _, room, files, _ = row.split("|")
        folder = re.findall(r"`([^`]+/)`", room)[0].replace("<command>", "ingest")
        for name in re.findall(r"`([^`]+\.py)`", files):
            assert (ROOT / folder / name).is_file() or (ROOT / name).is_file(), row


def test_the_architecture_page_draws_the_floors_that_the_sources_have():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawn = [
        {f"transforms/{room}" for room in re.findall(r"[a-z]+", line[4:30])}
        for line in page.split("reads the imports and holds this:")[1].splitlines()[2:10]
    ]
    existing = {folder_of(name) for name in MODULES}
    assert drawn == [set(folders) & existing for folders in LAYERS[2:]]
