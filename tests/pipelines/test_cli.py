"""The command line: quick help, one sentence for every wrong use, exit codes."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from facemill.pipelines import cli
from tests.commands import facemill

_LISTING = """
import sys
from facemill.pipelines import cli
try:
    code = cli.main(sys.argv[1:])
except SystemExit as error:
    code = error.code
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""
HEAVY = {"apache_beam", "tensorflow", "tensorflow_transform", "keras", "pyarrow", "numpy", "cv2"}


def test_too_little_memory_is_one_sentence(monkeypatch, capsys):
    def run(given, status):
        raise MemoryError

    monkeypatch.setattr(cli, "_run", run)
    assert cli.main(["ingest"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("facemill: the run must fit into memory")
    assert said.count("\n") == 1


_PRINTS = r"""
from facemill.pipelines import cli
cli._run = lambda given, status: print("Zo\xeb \udcff")
raise SystemExit(cli.main([]))
"""


@pytest.mark.parametrize("more", [{}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0"}])
def test_names_are_printed_in_any_locale(more):
    env = {**os.environ, "LC_ALL": "C", **more}
    done = subprocess.run([sys.executable, "-c", _PRINTS], env=env, capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout in (b"Zo\\xeb \\udcff\n", "Zoë \\udcff\n".encode())


_BACKEND = """
from facemill.pipelines.common.lazy_import import import_quietly
settings = import_quietly("facemill.model.training.keras_settings")
import keras
settings.use_own_settings()
config = keras.config
layer = keras.layers.Dense(2)
layer.build((None, 3))
print(config.backend(), config.floatx(), config.epsilon(), config.image_data_format(), layer.dtype)
"""


@pytest.mark.slow
def test_a_persons_settings_of_keras_change_nothing(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"backend": "jax", "floatx": "float16", "epsilon": 0.1, '
        '"image_data_format": "channels_first"}'
    )
    env = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch"}
    done = subprocess.run(
        [sys.executable, "-c", _BACKEND], env=env, capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == ["tensorflow", "float32", "1e-07", "channels_last", "float32"]


@pytest.mark.moderate
@pytest.mark.parametrize("command", [(), *((name,) for name in cli.COMMANDS)])
def test_help_imports_nothing_heavy(command):
    done = subprocess.run(
        [sys.executable, "-c", _LISTING, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(" ".join(("usage: facemill", *command)))
    loaded = set(done.stderr.split())
    assert "facemill" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("command", ["ingest", "score", "synthesize"])
def test_help_works_where_the_system_does_not_report_the_cores_of_a_process(
    command, monkeypatch, capsys
):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 97)
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert not ended.value.code
    assert "(default: 97" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("--bogus",), "unknown option --bogus"),
        (("ingest",), "--input, --output"),
        (("score", "--input", "a"), "--model, --output"),
        (("ingest", "--inp", "a", "--output", "b"), "--input"),
        (("synthesize", "--output", "x", "--bogus"), "takes no option --bogus"),
        (("train", "--dataset", "a", "--output", "x", "stray"), "takes no option stray"),
        (("demo", "--output", "x", "--runner=FlinkRunner"), "takes no option --runner"),
        (("synthesize", "--output", "x", "--identities", "few"), "invalid int value: 'few'"),
    ],
)
def test_wrong_command_lines_are_refused_in_one_sentence(
    tmp_path, monkeypatch, capfd, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(list(arguments)) == 2
    out, error = capfd.readouterr()
    assert error.startswith("facemill: ")
    assert message in error
    assert error.count("\n") == 1
    assert not out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("ingest", "--input", "no", "--output", "x"),
            "--input must be an existing directory or file, but {here}/no does not exist; check "
            "the path.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "x", "--format", "lfw", "--root", "faces"),
            "--root must go with --format manifest or parquet, got it with lfw; leave it out.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "faces/x"),
            "--output must not lie in --input, got {here}/faces/x in {here}/faces; give another "
            "path.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "x", "--format", "webdataset"),
            "--input must be a directory that holds *.tar files, but {here}/faces holds none; "
            "check the path and --format.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "x", "--balance", "most=3"),
            "--balance must be min-images=N, cap=N, oversample=N or effective-number=BETA with N "
            "from 1 to 1,000,000,000 and BETA below 1, each with @COLUMN or without, got "
            "'most=3'; write cap=100, say.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "x", "--exclude-dataset", "no"),
            "--exclude-dataset must be an existing directory or file, but {here}/no does not "
            "exist; check the path, or ingest these images by themselves and give that dataset.",
        ),
        (
            ("ingest", "--input", "faces", "--output", "x", "--split-list", "val=no"),
            "--split-list must be a text file in UTF-8, got no ([Errno 2] No such file or "
            "directory: 'no'); check the path.",
        ),
        (
            ("demo", "--output", ""),
            "--output must name a path, got an empty one; give a directory.",
        ),
    ],
)
def test_errors_of_the_library_name_the_flag(tmp_path, monkeypatch, capsys, arguments, message):
    for name in ("Ada", "Bob"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        (tmp_path / "faces" / name / "1.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert cli.main(list(arguments)) == 2
    assert capsys.readouterr().err == f"facemill: {message.format(here=tmp_path)}\n"


def test_the_overview_names_every_command(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert re.search(rf"^    {name}\b", shown, re.MULTILINE)


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"facemill {metadata.version('facemill')}\n"


def test_the_version_is_written_once():
    root = Path(__file__).parents[2]
    (version,) = re.findall(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.M)
    again = [
        path
        for top in ("facemill", "pipelines", "model", "transforms")
        for path in (root / top).rglob("*.py")
        if version in path.read_text("utf-8")
    ]
    assert version == metadata.version("facemill")
    assert not again


def test_a_wrong_command_line_ends_the_process_with_2():
    done = facemill("synthesize", "--output", "x", "--identities", 0, code=2)
    assert done.stderr.startswith("facemill: --identities must be 1 to")


@pytest.mark.parametrize("arguments", ["--help", "ingest --help", "--version", ""])
def test_a_reader_that_closes_the_pipe_causes_no_message(arguments):
    done = _with_output(arguments, "| true")
    assert (done.returncode, done.stderr) == (1, "")


def test_output_that_cannot_be_written_is_one_sentence():
    done = _with_output("--version", "> /dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, capsys):
    def full(given, status):
        raise OSError(28, "No space left on device", "/some/file")

    monkeypatch.setattr(cli, "_run", full)
    assert cli.main([]) == 1
    error = capsys.readouterr().err
    assert "got /some/file: No space left on device" in error
    assert error.count("\n") == 1


def _with_output(arguments: str, where: str) -> subprocess.CompletedProcess:
    # Python must keep its output back until the end, as it does for a pipe.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    script = f'set -o pipefail; "{sys.executable}" -m facemill.pipelines.cli {arguments} {where}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment
    )
