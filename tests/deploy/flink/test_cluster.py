"""The scripts of a Flink cluster, as far as they go without one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.flink import FOLDER  # isort: skip - makes cluster importable
import cluster
import needs

CONFIG = """env:
  java:
    opts:
      all: --add-opens=java.base/java.util=ALL-UNNAMED --add-exports=x/y=ALL-UNNAMED
parallelism:
  default: 1
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A folder that looks like Flink's."""
    home = tmp_path / "flink"
    for name in ("bin", "conf", "lib"):
        (home / name).mkdir(parents=True)
    (home / "conf" / "config.yaml").write_text(CONFIG)
    (home / "lib" / "flink-dist-1.20.5.jar").touch()
    monkeypatch.setenv("FLINK_HOME", str(home))
    return home


@pytest.fixture
def laid_out(home, tmp_path) -> Path:
    """The folder of a cluster that is not started."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    jar = tmp_path / "server.jar"
    jar.touch()
    cluster.Cluster(folder)._lay_out(home, str(jar))
    return folder


def settings(folder: Path) -> dict:
    return yaml.safe_load((folder / "conf" / "config.yaml").read_text())


def test_the_configuration_holds_what_a_run_showed(laid_out, home):
    found = settings(laid_out)
    assert found["taskmanager.network.sort-shuffle.min-buffers"] == 64
    assert found["cluster.evenly-spread-out-slots"] is True
    assert found["restart-strategy.type"] == "exponential-delay"
    assert found["classloader.resolve-order"] == "parent-first"
    assert found["env.java.opts.all"].startswith("--add-opens")
    # All of a job fits on the TaskManager that is left when the other is lost.
    assert found["taskmanager.numberOfTaskSlots"] >= cluster.PARALLELISM
    listening = [name for name in found if name.endswith(("bind-host", "bind-address"))]
    assert {found[name] for name in listening} == {"localhost"}
    assert len(listening) == 3


def test_workers_are_kept_for_less_time_than_a_restart_waits(laid_out):
    wait = settings(laid_out)["restart-strategy.exponential-delay.initial-backoff"]
    assert int(wait.split()[0]) * 1000 > cluster.CACHE_MILLIS


def test_the_jar_lies_beside_flinks_own(laid_out):
    assert {one.name for one in (laid_out / "lib").iterdir()} == {
        *("flink-dist-1.20.5.jar", "server.jar")
    }


def test_the_boot_command_runs_this_python(laid_out):
    said = subprocess.run([laid_out / "boot"], capture_output=True, text=True, check=False)
    assert "--provision_endpoint" in said.stderr
    assert sys.executable in (laid_out / "boot").read_text()


def test_a_job_has_the_flags_of_the_cluster(tmp_path):
    one = cluster.Cluster(tmp_path)
    here = {"pid": os.getpid(), "started": cluster._started(os.getpid())}
    one._state["processes"] = {"jobserver": here}
    flags = dict(flag.split("=", 1) for flag in one.flags())
    assert flags["--parallelism"] == "2"
    assert flags["--flink_master"] == "localhost:8081"
    assert json.loads(flags["--environment_config"]) == {"command": str(tmp_path / "boot")}


def script(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, FOLDER / "cluster.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def refusal(*arguments: object, **environment: str) -> str:
    done = script(*arguments, **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"cluster: [^\n]*\.\n", done.stderr), done.stderr
    return done.stderr


def test_a_job_without_a_job_server_is_refused(tmp_path):
    said = refusal("submit", "--folder", tmp_path, "--", "ingest", "--input", "a")
    assert "beam-runners-flink-1.20-job-server" in said
    assert "Maven Central" in said


def test_a_job_takes_the_place_of_the_script(tmp_path, monkeypatch):
    """So that Ctrl-C reaches the command, which then has the time to cancel its job."""
    one = cluster.Cluster(tmp_path)
    here = {"pid": os.getpid(), "started": cluster._started(os.getpid())}
    one._state["processes"] = {"jobserver": here}
    one._write()
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: called.append([program, *words]))
    cluster.main(["submit", "--folder", str(tmp_path), "--", "ingest", "--input", "a"])
    ((program, *words),) = called
    assert program == words[0] == sys.executable
    assert words[1:] == ["-m", "facemill.pipelines.cli", "ingest", "--input", "a", *one.flags()]


def test_a_taskmanager_counts_once_it_has_slots(tmp_path, monkeypatch):
    """As Flink answers while the second one is about to report its slots."""
    answer = {"taskmanagers": [{"slotsNumber": 2}, {"slotsNumber": 0}]}
    monkeypatch.setattr(cluster.Cluster, "get", lambda self, path: answer)
    assert cluster.Cluster(tmp_path).task_managers() == 1


def test_a_jar_that_is_absent_is_refused(tmp_path):
    said = refusal("up", "--folder", tmp_path, FLINK_JOB_SERVER_JAR=str(tmp_path / "x.jar"))
    assert str(tmp_path / "x.jar") in said


def test_another_flink_is_refused(home, tmp_path):
    (home / "lib" / "flink-dist-1.20.5.jar").rename(home / "lib" / "flink-dist-2.1.0.jar")
    with pytest.raises(needs.ClusterError, match=r"Flink 1\.20, got .*flink-dist-2\.1\.0\.jar"):
        needs.flink_home(tmp_path)


@pytest.mark.parametrize("said", ['openjdk version "21.0.1" 2023-10-17', None])
def test_a_java_that_flink_does_not_run_on_is_refused(said, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if said is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        (tmp_path / "bin" / "java").chmod(0o755)
    with pytest.raises(needs.ClusterError, match=r"^Flink must have Java 11 or 17, "):
        needs.check_java()


def test_a_process_is_known_by_more_than_its_id():
    """Ids come again: after a restart of the machine, another process may have a TaskManager's."""
    pid = os.getpid()
    assert cluster._is_alive({"pid": pid, "started": cluster._started(pid)})
    assert not cluster._is_alive({"pid": pid, "started": "1"})
