"""What people install: the wheel, alone in an environment and far from the sources.

The wheel is built and installed without a network. Its dependencies are those of the environment
that runs the tests; facemill itself comes from the wheel.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

from tests.needs import missing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDERS = ("facemill", "transforms", "pipelines", "model")
FILES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.md")
# Names that other projects' folders have too; none of them may be imported.
TRAPS = ("transforms.py", "pipelines.py", "utils.py", "model/__init__.py")


def run(*command, folder: Path, timeout: float = 180) -> str:
    """Standard output of a command that must succeed, without this process's import path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def build(kind: str, source: Path, target: Path) -> Path:
    """Builds a `wheel` or an `sdist` of the sources, as every front end does (PEP 517)."""
    version = metadata.version("setuptools")
    if int(version.split(".")[0]) < 77:
        missing(f"The build needs setuptools 77 or later, got {version}; run `make setup`")
    target.mkdir()
    program = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, target],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Deprecat" not in done.stderr, done.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The source distribution, built from a copy: a build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("sources")
    source = folder / "checkout"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    assert (source / "facemill" / "transforms").is_symlink()
    return build("sdist", source, folder / "sdist")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, sdist) -> Path:
    """The wheel, built from the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, folder / "built")


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheel) -> Path:
    """The `bin` folder of an environment that holds the wheel and nothing else."""
    root = tmp_path_factory.mktemp("environment") / "env"
    venv.create(root, symlinks=True)
    python = root / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet"]
    run(*pip, "install", "--no-index", "--no-deps", wheel, folder=root)
    # Dependencies are found after what the environment holds. A folder that a .pth file adds has
    # its own .pth files ignored, so an editable installation in it stays out.
    (packages,) = root.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return root / "bin"


@pytest.fixture(scope="module")
def traps(tmp_path_factory) -> Path:
    """A working folder whose modules end every program that imports them."""
    folder = tmp_path_factory.mktemp("traps")
    for name in TRAPS:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('raise SystemExit("a trap was imported: " + __file__)\n')
    return folder


def sources() -> set[str]:
    """Every module of the checkout by its path in the package."""
    # Its links to the other folders are not followed.
    package = ROOT / "facemill"
    own = [*package.glob("*.py"), *(package / "beam").rglob("*.py")]
    found = {p.relative_to(ROOT).as_posix() for p in own}
    for name in FOLDERS[1:]:
        found |= {f"facemill/{p.relative_to(ROOT)}" for p in (ROOT / name).rglob("*.py")}
    return found


def test_sdist_holds_files_instead_of_links(sdist):
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert [member.name for member in members if not (member.isfile() or member.isdir())] == []
    names = {member.name.partition("/")[2] for member in members}
    assert sources() | set(FILES) <= names


def test_wheel_holds_every_module_and_no_other_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if name.endswith(".py")} == sources()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"facemill"}
    assert "facemill/py.typed" in names


def test_wheel_names_its_license(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = Parser().parsestr(archive.read(name).decode("utf-8"))
        folder = name.removesuffix("METADATA") + "licenses/"
        assert archive.read(folder + "LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert folder + "THIRD_PARTY_NOTICES.md" in archive.namelist()
    assert headers["License-Expression"] == "Apache-2.0"


def test_traps_are_on_the_import_path(environment, traps):
    done = subprocess.run(
        [environment / "python", "-c", "import transforms"],
        cwd=traps,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a trap was imported" in done.stderr


def test_import_takes_the_wheel(environment, traps):
    program = "import facemill; print(facemill.__file__)"
    found = Path(run(environment / "python", "-c", program, folder=traps).strip())
    assert environment.parent in found.parents


@pytest.mark.parametrize("start", ["script", "module"])
def test_demo_help(environment, traps, start):
    starts = {
        "script": [environment / "facemill"],
        "module": [environment / "python", "-m", "facemill.pipelines.cli"],
    }
    shown = run(*starts[start], "demo", "--help", folder=traps)
    assert "usage: facemill demo" in shown


def test_version_is_that_of_the_wheel(environment, traps, wheel):
    version = wheel.name.split("-")[1]
    assert run(environment / "facemill", "--version", folder=traps) == f"facemill {version}\n"


def test_ingest_in_worker_processes(environment, traps, tmp_path):
    # Started as a module: then the working folder is first on the import path.
    command = [environment / "python", "-m", "facemill.pipelines.cli"]
    size = ("--image-size", "32")
    flags = ["--identities", "3", "--images-per-identity", "3", *size]
    run(*command, "synthesize", "--output", tmp_path / "drawn", *flags, folder=traps)
    flags = ["--input", tmp_path / "drawn" / "images", "--output", tmp_path / "dataset", *size]
    run(*command, "ingest", *flags, "--workers", "2", folder=traps)
    manifest = json.loads((tmp_path / "dataset" / "manifest.json").read_bytes())
    assert manifest["counts"]["kept"] == 9
