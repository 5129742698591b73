"""Jobs on a Flink cluster of two TaskManagers: `make test-flink FLINK_JOB_SERVER_JAR=...`.

Without the jar, the cluster stands and a job is refused; the other tests are skipped.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts import contents
from tests.commands import facemill

from tests.deploy.flink import FOLDER  # isort: skip - makes cluster importable
import cluster as flink
import needs

pytestmark = pytest.mark.flink

_JAR = os.environ.get(needs.JAR) or None
_SECONDS_AT_MOST = 900
# After the start of a Python worker, which first imports Beam.
_SECONDS_TO_WORK = 5
_ENDED = ("FINISHED", "CANCELED", "FAILED")
needs_jar = pytest.mark.skipif(_JAR is None, reason=needs.no_job_server(None))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[flink.Cluster]:
    # Flink stays where it is between runs, since its download takes a minute.
    kept = Path(os.environ.get("FLINK_CLUSTER") or tmp_path_factory.mktemp("flink"))
    one = flink.Cluster(kept)
    one.down()
    one.up(_JAR, _free_ports())
    yield one
    one.down()


@pytest.fixture(autouse=True)
def _no_job_is_left(cluster) -> Iterator[None]:
    """A launcher that is killed leaves its job, which would take the slots of the next test."""
    yield
    for job in _jobs(cluster):
        if job["state"] not in _ENDED:
            url = f"http://{cluster.rest}/jobs/{job['jid']}?mode=cancel"
            urllib.request.urlopen(urllib.request.Request(url, method="PATCH")).close()


def _jobs(cluster: flink.Cluster) -> list[dict[str, Any]]:
    return cluster.get("/jobs/overview")["jobs"]


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in flink._PORTS}
        for one in sockets.values():
            one.bind(("localhost", 0))
        return {name: one.getsockname()[1] for name, one in sockets.items()}


def test_the_cluster_stands(cluster):
    assert cluster.task_managers() == 2
    assert cluster.get("/overview")["slots-total"] == 4
    assert {"jobmanager", "taskmanager-1", "taskmanager-2"} <= set(cluster.processes())


def test_its_taskmanagers_can_start_workers(cluster):
    """What a TaskManager runs for a worker says what it lacks, and not that a module is absent."""
    said = subprocess.run([cluster.folder / "boot"], capture_output=True, text=True, check=False)
    assert "required: --id, --provision_endpoint" in said.stderr


@pytest.mark.skipif(_JAR is not None, reason="there is a job server")
def test_a_job_without_a_job_server_is_refused(cluster):
    words = [FOLDER / "cluster.py", "submit", "--folder", cluster.folder, "--", "ingest"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "got no jar of it; get org.apache.beam:beam-runners-flink-1.20-job-s" in done.stderr


def submitted(cluster: flink.Cluster, *words: object) -> set[str]:
    """Runs a command on the cluster; returns the TaskManagers that worked."""
    before = {one["jid"] for one in _jobs(cluster)}
    facemill(*words, *cluster.flags(), timeout=_SECONDS_AT_MOST)
    jobs = [one for one in _jobs(cluster) if one["jid"] not in before]
    assert [one["state"] for one in jobs] == ["FINISHED"]
    return flink.job_was_on(cluster, jobs[0]["jid"])


def drawn(folder: Path, identities: int, start: int, *plants: str) -> Path:
    options = [word for plant in plants for word in ("--plant", plant)]
    words = ("--output", folder, "--identities", identities, "--start-identity", start)
    facemill("synthesize", *words, "--images-per-identity", 20, *options)
    return folder / "images"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    plants = ("copy=20", "reencode=20", "resize=20", "conflict=10", "truncated=4")
    return drawn(tmp_path_factory.mktemp("photos") / "p", 60, 1, *plants)


@pytest.fixture(scope="module")
def local(photos, tmp_path_factory) -> Path:
    """The dataset of a local run."""
    output = tmp_path_factory.mktemp("local") / "dataset"
    facemill("ingest", "--input", photos, "--image-size", 64, "--output", output)
    return output


@pytest.fixture(scope="module")
def further(tmp_path_factory) -> Path:
    """Photos of other identities, and of some that the dataset has."""
    return drawn(tmp_path_factory.mktemp("further") / "p", 30, 51)


@pytest.fixture(scope="module")
def embeddings(photos, tiny_model, tmp_path_factory) -> Path:
    """The embeddings of a local run."""
    output = tmp_path_factory.mktemp("embeddings") / "e"
    facemill("score", "--input", photos, "--model", tiny_model, "--output", output)
    return output


@needs_jar
def test_ingest(cluster, photos, local, tmp_path):
    words = ("ingest", "--input", photos, "--image-size", 64, "--output", tmp_path / "dataset")
    assert len(submitted(cluster, *words)) == 2
    assert contents(tmp_path / "dataset") == contents(local)


@needs_jar
@pytest.mark.parametrize("option", ["--append-to", "--exclude-dataset"])
def test_ingest_with_another_dataset(option, cluster, further, local, tmp_path):
    words = ("ingest", "--input", further, "--image-size", 64, option, local)
    facemill(*words, "--output", tmp_path / "local")
    assert len(submitted(cluster, *words, "--output", tmp_path / "flink")) == 2
    assert contents(tmp_path / "flink") == contents(tmp_path / "local")


@needs_jar
def test_ingest_with_quarantine(cluster, photos, tmp_path):
    words = ("ingest", "--input", photos, "--image-size", 64, "--on-conflict", "quarantine")
    facemill(*words, "--output", tmp_path / "local")
    submitted(cluster, *words, "--output", tmp_path / "flink")
    assert contents(tmp_path / "flink") == contents(tmp_path / "local")


@needs_jar
def test_score(cluster, photos, tiny_model, embeddings, tmp_path):
    words = ("score", "--input", photos, "--model", tiny_model, "--output", tmp_path / "e")
    assert len(submitted(cluster, *words)) == 2
    assert contents(tmp_path / "e") == contents(embeddings)


@needs_jar
def test_score_since_a_run_before(cluster, further, tiny_model, embeddings, tmp_path):
    words = ("score", "--input", further, "--model", tiny_model, "--since", embeddings)
    facemill(*words, "--output", tmp_path / "local")
    submitted(cluster, *words, "--output", tmp_path / "flink")
    assert contents(tmp_path / "flink") == contents(tmp_path / "local")


@needs_jar
def test_match(cluster, embeddings, tmp_path):
    words = ("match", "--probes", embeddings, "--gallery", embeddings, "--threshold", 0.6)
    facemill(*words, "--output", tmp_path / "local")
    submitted(cluster, *words, "--output", tmp_path / "flink")
    assert contents(tmp_path / "flink") == contents(tmp_path / "local")


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Photos whose ingest takes long enough to be hit."""
    return drawn(tmp_path_factory.mktemp("many") / "p", 250, 1)


@pytest.fixture(scope="module")
def many_local(many, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("many-local") / "dataset"
    facemill("ingest", "--input", many, "--image-size", 64, "--output", output)
    return output


def _kill_worker(cluster: flink.Cluster) -> bool:
    """Kills a Python worker that is at work; whether there was one."""
    for name, pid in cluster.processes().items():
        for worker in flink.workers_of(pid) if name.startswith("taskmanager") else ():
            time.sleep(_SECONDS_TO_WORK)
            # It ends by itself after seconds without work.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                return True
    return False


def _kill_task_manager(cluster: flink.Cluster) -> bool:
    """Kills a TaskManager whose Python worker is at work; whether there was one."""
    for name, pid in cluster.processes().items():
        if name.startswith("taskmanager") and flink.workers_of(pid):
            time.sleep(_SECONDS_TO_WORK)
            os.kill(pid, signal.SIGKILL)
            return True
    return False


@needs_jar
@pytest.mark.parametrize("kill", [_kill_worker, _kill_task_manager])
def test_an_ingest_outlives(
    kill: Callable[[flink.Cluster], bool], cluster, many, many_local, tmp_path
):
    words = ("ingest", "--input", many, "--image-size", "64", "--output", tmp_path / "dataset")
    command = [sys.executable, "-m", "facemill.pipelines.cli", *map(str, words)]
    launcher = subprocess.Popen([*command, *cluster.flags()], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + _SECONDS_AT_MOST
        while not kill(cluster):
            assert launcher.poll() is None, launcher.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        _, said = launcher.communicate(timeout=_SECONDS_AT_MOST)
    finally:
        launcher.kill()
        launcher.wait()
    if kill is _kill_task_manager:
        cluster.add_task_manager()
        cluster._wait_for("a TaskManager", lambda: cluster.task_managers() == 2)
    assert launcher.returncode == 0, said
    assert contents(tmp_path / "dataset") == contents(many_local)
    newest = max(_jobs(cluster), key=lambda one: one["start-time"])
    # Flink tells of what it recovered from.
    assert cluster.get(f"/jobs/{newest['jid']}/exceptions")["exceptionHistory"]["entries"]
