"""The worker image: its Dockerfile read, and its steps run without Docker."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line.split() for line in TEXT.splitlines() if line and not line.startswith("#")]


def arguments() -> dict[str, str]:
    return dict(words[1].split("=", 1) for words in LINES if words[0] == "ARG")


def locked() -> dict[str, str]:
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines)


def test_all_that_is_copied_is_there():
    copied = [words[1:-1] for words in LINES if words[0] == "COPY" and "--from" not in words[1]]
    assert len(copied) >= 6
    for source in (one for sources in copied for one in sources):
        assert (ROOT / source).exists(), source


def test_the_wheel_gets_all_that_it_is_made_of():
    (into_source,) = (words[1:-1] for words in LINES if words[-1] == "/source/")
    declared = re.findall(r'"([A-Z_]+(?:\.md)?)"', (ROOT / "pyproject.toml").read_text())
    assert {name for name in declared if (ROOT / name).is_file()} <= set(into_source)
    folders = {words[1] for words in LINES if words[-1].startswith("/source/") and len(words) == 3}
    assert {one.name for one in (ROOT / "facemill").iterdir() if one.is_symlink()} < folders


def test_versions_are_those_of_this_environment():
    given = arguments()
    assert given["BEAM"] == locked()["apache-beam"]
    # Python 3.10 has an earlier Beam.
    if sys.version_info >= (3, 11):
        assert metadata.version("apache-beam") == given["BEAM"]
    from packaging.specifiers import SpecifierSet

    requires = re.search(r'requires-python = "([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert SpecifierSet(requires.group(1)).contains(given["PYTHON"])


def test_every_dependency_is_locked_to_a_version_that_is_allowed():
    from packaging.requirements import Requirement

    versions = locked()
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL).group(1)
    for text in re.findall(r'"([^"]+)"', block):
        needed = Requirement(text)
        # The image has 3.11, whatever runs this test.
        if needed.marker is not None and not needed.marker.evaluate({"python_version": "3.11"}):
            continue
        assert needed.specifier.contains(versions[needed.name]), text
    # Names and versions only: no address, no path.
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in versions)
    assert all(re.fullmatch(r"[0-9a-z.+!]+", version) for version in versions.values())


def test_it_ends_as_a_user_without_rights_in_beams_boot_program():
    words = [line[0] for line in LINES]
    # A number: `runAsNonRoot` of Kubernetes refuses a name.
    user = LINES[words.index("USER")][1]
    assert int(user) > 0
    assert f"--uid {user} " in (DEPLOY / "image" / "user.sh").read_text()
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert LINES[-1] == ["ENTRYPOINT", '["/opt/apache/beam/boot"]']
    assert ["COPY", "--from=beam", "/opt/apache/beam", "/opt/apache/beam"] in LINES


def test_each_step_is_a_script_that_is_copied_before():
    for number, words in enumerate(LINES):
        if words[0] != "RUN":
            continue
        assert words[1] == "sh"
        script = DEPLOY / "image" / Path(words[2]).name
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
        assert any(f"deploy/image/{script.name}" in before for before in LINES[:number])


def paths_in_the_image(text: str) -> set[str]:
    return set(re.findall(r"/opt/facemill/deploy/[\w./-]*\w", text))


def test_what_runs_in_the_image_lies_there():
    """Also the scripts that cron and systemd call are at the same path, in an image or not."""
    assert ["COPY", "deploy", "/opt/facemill/deploy"] in LINES
    named = {
        path: file
        for file in sorted(DEPLOY.rglob("*"))
        if file.suffix not in (".pyc", "") or file.parent.name == "cron"
        for path in (paths_in_the_image(file.read_text()) if file.is_file() else ())
    }
    assert "/opt/facemill/deploy/dataflow/submit.sh" in named
    for path, file in named.items():
        script = DEPLOY / Path(path).relative_to("/opt/facemill/deploy")
        assert script.is_file(), f"{file} names {path}"
        assert os.access(script, os.X_OK), f"{script} is no program"


@pytest.mark.long
def test_the_steps_make_an_environment_that_runs_facemill(tmp_path):
    # What the image has of the sources, and no more. A build in the repository would leave files.
    source = tmp_path / "source"
    source.mkdir()
    for _, *given, target in (words for words in LINES if words[0] == "COPY"):
        if target == "/source/":
            for name in given:
                shutil.copy(ROOT / name, source)
        elif target.startswith("/source/"):
            shutil.copytree(ROOT / given[0], source / Path(target).name, symlinks=True)
    step = ["sh", DEPLOY / "image" / "install.sh", source, DEPLOY / "constraints.txt"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = f"{Path(sys.executable).resolve().parent}:{environment['PATH']}"
    environment["PATH"] = path
    subprocess.run([*step, tmp_path / "env"], check=True, env=environment, cwd=tmp_path)
    program = tmp_path / "env" / "bin" / "facemill"
    said = subprocess.run(
        [program, "ingest", "--help"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "--input" in said.stdout
    worker = [
        tmp_path / "env" / "bin" / "python",
        "-m",
        "apache_beam.runners.worker.sdk_worker_main",
    ]
    # It starts, and misses what the boot program tells it.
    missed = subprocess.run(
        worker, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert "CONTROL_API" in missed.stderr
