"""Only the storage folder opens, lists and makes files by path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("transforms", "model", "pipelines", "facemill")

# Calls that read, write, list or change a file system by a path.
CALLS = {
    *("open", "io.open", "os.open", "os.listdir", "os.scandir", "os.walk", "os.mkdir"),
    *("os.makedirs", "os.remove", "os.unlink", "os.rename", "os.replace", "os.link", "os.symlink"),
    *("os.rmdir", "os.stat", "os.lstat", "os.path.exists", "os.path.isfile", "os.path.isdir"),
    *("os.path.getsize", "os.path.getmtime", "os.path.realpath", "os.path.islink", "os.utime"),
    *("pq.read_table", "pq.write_table", "pq.ParquetFile", "pq.ParquetWriter", "pa.memory_map"),
    *("pa.OSFile", "np.load", "np.save", "cv2.imread", "cv2.imwrite", "Image.open", "glob.glob"),
    *("tf.io.gfile.GFile", "tf.io.read_file", "tf.io.write_file"),
}
MODULES = ("shutil", "fcntl", "pathlib", "glob", "tempfile")
# Clients of object stores, and other libraries' file systems.
CLIENTS = (
    *("boto3", "botocore", "google.cloud.storage", "pyarrow.fs", "fsspec", "s3fs", "gcsfs"),
    *("apache_beam.io.filesystems", "apache_beam.io.aws", "apache_beam.io.gcp"),
)
# Parquet and image libraries may read streams that storage opened: variables of these names.
STREAMS = {"stream", "source", "sink"}

ALLOWED = {
    ("pipelines/cli.py", "os.open"): "the null device",
    ("pipelines/common/lazy_import.py", "tempfile"): "a file without a name, for stderr",
    ("pipelines/common/job_servers.py", "shutil"): "the search for Java",
    ("pipelines/common/job_servers.py", "os.path.exists"): "Beam's own cache of jars",
    ("transforms/core/control_groups.py", "open"): "the system's files of control groups",
    ("pipelines/common/runner.py", "shutil"): "Beam's own temporary folder",
}


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_forbidden(module: str) -> bool:
    return module in MODULES or any(f"{module}.".startswith(f"{one}.") for one in CLIENTS)


def uses(path: Path) -> Iterator[tuple[str, int]]:
    """Forbidden calls and modules of a file, with their lines."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if is_forbidden(a.name))
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
            yield from ((name, node.lineno) for name in names if is_forbidden(name))
        elif isinstance(node, ast.Call) and (name := name_of(node.func)) in CALLS:
            given = [*node.args, *(word.value for word in node.keywords)]
            streams = (isinstance(one, ast.Name) and one.id in STREAMS for one in given)
            in_memory = (
                isinstance(one, ast.Call) and "Bytes" in name_of(one.func) for one in given
            )
            buffered = (
                isinstance(one, ast.Call) and name_of(one.func) == "pa.BufferReader"
                for one in given
            )
            if not (any(streams) or any(in_memory) or any(buffered)):
                yield name, node.lineno


@pytest.mark.moderate
def test_only_storage_calls_the_file_system():
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("transforms/storage/"):
                continue
            found += [
                f"{name}:{line} {what}" for what, line in uses(path) if (name, what) not in ALLOWED
            ]
    assert not found, "\n".join(found)


def test_uses_finds_forbidden_calls_and_modules(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("import shutil\nopen('x')\nos.path.exists(p)\npq.read_table(stream)\n")
    assert [what for what, _ in uses(path)] == ["shutil", "open", "os.path.exists"]
    path.write_text(
        "import boto3.session\nfrom google.cloud import storage\nfrom pyarrow import fs, csv\n"
        "from botocore.config import Config\nimport pyarrow as pa\nfrom google.cloud import x\n"
    )
    assert {line for _, line in uses(path)} == {1, 2, 3, 4}
