#!/usr/bin/env python3
"""A Flink cluster on this machine that runs facemill's jobs; needs Python and Java, no root.

    cluster.py up --folder F --jar beam-runners-flink-1.20-job-server-V.jar
    cluster.py submit --folder F -- ingest --input PHOTOS --output DATASET
    cluster.py status --folder F
    cluster.py down --folder F

`up` starts a JobManager, two TaskManagers and Beam's job server. Flink is that of $FLINK_HOME, or
is installed from PyPI into the folder. Each TaskManager starts its Python workers by itself, with
`boot.py` and the Python that runs this script, in which facemill must be installed. (Two
TaskManagers cannot share one of Beam's worker pools: both name their first worker 1-1, and stop
each other's.) Everything but Beam's job server listens on localhost only.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import needs

HERE = Path(__file__).resolve().parent
TASK_MANAGERS = 2
PARALLELISM = 2
# Shorter than the first delay of a restart, in config.yaml.
CACHE_MILLIS = 4000
_PORTS = {"rest": 8081, "rpc": 6123, "job": 8099, "artifact": 8098, "expansion": 8097}
_SECONDS_TO_START = 120
_SECONDS_TO_END = 20
_SECONDS_TO_ANSWER = 10


class Cluster:
    """The cluster of a folder, which keeps what it needs to be found again.

    Args:
        folder: made if it is absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._file = self.folder / "cluster.json"
        self._state: dict[str, Any] = {"processes": {}, "ports": dict(_PORTS)}
        if self._file.exists():
            self._state = json.loads(self._file.read_text("utf-8"))

    @property
    def rest(self) -> str:
        """Address of Flink's REST API."""
        return f"localhost:{self._state['ports']['rest']}"

    def up(self, jar: str | None, ports: Mapping[str, int]) -> None:
        """Starts the cluster, and the job server if there is a jar for it.

        Raises:
            ClusterError: something is missing, or does not start.
        """
        if any(_is_alive(one) for one in self._state["processes"].values()):
            raise needs.ClusterError(
                f"The cluster of {self.folder} must be down, but it runs; take it down first."
            )
        if jar is not None:
            needs.check_jar(jar)
        needs.check_java()
        needs.check_facemill()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state = {"processes": {}, "ports": {**_PORTS, **ports}, "jar": jar}
        home = needs.flink_home(self.folder)
        self._state["home"] = str(home)
        self._lay_out(home, jar)
        self._start_flink("jobmanager", "jobmanager.sh")
        for _ in range(TASK_MANAGERS):
            self.add_task_manager()
        self._wait_for("the TaskManagers", lambda: self.task_managers() == TASK_MANAGERS)
        if jar is not None:
            self._start_job_server(jar)

    def add_task_manager(self) -> str:
        """Starts one more TaskManager, beside others or for one that was lost.

        Returns:
            Its name in `processes`.
        """
        known = [int(name.rsplit("-", 1)[1]) for name in self._state["processes"] if "-" in name]
        running = self.processes()
        for gone in [one for one in self._state["processes"] if one not in running]:
            del self._state["processes"][gone]
        name = f"taskmanager-{max(known, default=0) + 1}"
        self._start_flink(name, "taskmanager.sh")
        return name

    def task_managers(self) -> int:
        """How many TaskManagers offer slots to Flink; 0 if it does not answer.

        Flink counts a TaskManager a moment before it knows its slots.
        """
        try:
            known = self.get("/taskmanagers")["taskmanagers"]
        except (OSError, ValueError):
            return 0
        return sum(one["slotsNumber"] > 0 for one in known)

    def get(self, path: str) -> Any:
        """What Flink's REST API answers.

        Raises:
            OSError: it does not answer.
        """
        with urllib.request.urlopen(
            f"http://{self.rest}{path}", timeout=_SECONDS_TO_ANSWER
        ) as answer:
            return json.loads(answer.read())

    def processes(self) -> dict[str, int]:
        """Ids of the processes that run, by name: `jobmanager`, `taskmanager-1`, `jobserver`."""
        found = self._state["processes"].items()
        return {name: one["pid"] for name, one in found if _is_alive(one)}

    def flags(self) -> list[str]:
        """Flags that run a job of facemill here.

        Raises:
            ClusterError: there is no job server.
        """
        if "jobserver" not in self.processes():
            raise needs.ClusterError(needs.no_job_server(self._state.get("jar")))
        boot = json.dumps({"command": str(self.folder / "boot")})
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{self._state['ports']['job']}",
            f"--flink_master={self.rest}",
            "--environment_type=PROCESS",
            f"--environment_config={boot}",
            f"--environment_cache_millis={CACHE_MILLIS}",
            f"--parallelism={PARALLELISM}",
            "--experiments=disable_logging_submission_environment",
        ]

    def down(self) -> None:
        """Stops everything that `up` started, in the reverse order."""
        for one in reversed(list(self._state["processes"].values())):
            _stop(one)
        self._state["processes"] = {}
        if self.folder.exists():
            self._write()

    def _lay_out(self, home: Path, jar: str | None) -> None:
        """Makes the folders that Flink's scripts read and write."""
        for name in ("conf", "lib", "log", "pid", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        shutil.copytree(home / "conf", self.folder / "conf", dirs_exist_ok=True)
        ports = self._state["ports"]
        ours = {
            "env.java.opts.all": needs.java_options(home),
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": ports["rpc"],
            "jobmanager.bind-host": "localhost",
            "taskmanager.bind-host": "localhost",
            "taskmanager.host": "localhost",
            "rest.address": "localhost",
            "rest.bind-address": "localhost",
            "rest.port": ports["rest"],
            "io.tmp.dirs": self.folder / "tmp",
        }
        settings = (HERE / "config.yaml").read_text("utf-8")
        settings += "".join(f"{name}: {value}\n" for name, value in ours.items())
        (self.folder / "conf" / "config.yaml").write_text(settings, "utf-8")
        for one in sorted((home / "lib").glob("*.jar")):
            (self.folder / "lib" / one.name).symlink_to(one.resolve())
        if jar is not None:
            (self.folder / "lib" / Path(jar).name).symlink_to(Path(jar).resolve())
        boot = self.folder / "boot"
        # Python finds facemill as it does here, whatever the TaskManager's folder is.
        path = os.environ.get("PYTHONPATH", "")
        boot.write_text(
            "#!/bin/sh\n"
            f"export PYTHONPATH={shlex.quote(path)}\n"
            f'exec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / "boot.py"))} "$@"\n'
        )
        boot.chmod(0o755)

    def _start_flink(self, name: str, script: str) -> None:
        path = [str(Path(self._state["home"]) / "bin" / script), "start-foreground"]
        self._start(name, ["bash", *path])

    def _start_job_server(self, jar: str) -> None:
        ports = self._state["ports"]
        command = [
            needs.java(),
            *needs.java_options(Path(self._state["home"])).split(),
            *("-jar", str(Path(jar).resolve())),
            *("--flink-master", self.rest),
            *("--job-host", "localhost"),
            *("--artifacts-dir", str(self.folder / "artifacts")),
            *("--job-port", str(ports["job"])),
            *("--artifact-port", str(ports["artifact"])),
            *("--expansion-port", str(ports["expansion"])),
        ]
        self._start("jobserver", command)
        self._wait_for("Beam's job server", lambda: _listens(ports["job"]))

    def _start(self, name: str, command: Sequence[str]) -> None:
        folder = self.folder
        variables = {
            "FLINK_HOME": self._state["home"],
            "FLINK_CONF_DIR": str(folder / "conf"),
            "FLINK_LIB_DIR": str(folder / "lib"),
            "FLINK_LOG_DIR": str(folder / "log"),
            "FLINK_PID_DIR": str(folder / "pid"),
            "FACEMILL_WORKER_LOGS": str(folder / "log"),
        }
        with (folder / "log" / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        self._state["processes"][name] = {"pid": process.pid, "started": _started(process.pid)}
        self._write()

    def _wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not holds():
            ended = sorted(set(self._state["processes"]) - set(self.processes()))
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else list(self._state["processes"])[-1]
                log = self.folder / "log" / f"{name}.out"
                why = f"{name} ended" if ended else f"not in {_SECONDS_TO_START} s"
                self.down()
                raise needs.ClusterError(
                    f"{what} must start, but did not ({why}): {_last_error(log)}; see {log}."
                )
            time.sleep(0.3)

    def _write(self) -> None:
        self._file.write_text(json.dumps(self._state, indent=1), "utf-8")


def job_was_on(cluster: Cluster, job: str) -> set[str]:
    """The TaskManagers that wrote records of a job, by Flink's REST API."""
    found = set()
    for vertex in cluster.get(f"/jobs/{job}")["vertices"]:
        for one in cluster.get(f"/jobs/{job}/vertices/{vertex['id']}/taskmanagers")["taskmanagers"]:
            if one["metrics"]["write-records"] or one["metrics"]["read-records"]:
                found.add(one["taskmanager-id"])
    return found


def workers_of(pid: int) -> list[int]:
    """Ids of the Python workers that a TaskManager has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and b"boot.py" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def _last_error(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    causes = [line for line in lines if re.search(r"Caused by|Exception|Error|ERROR", line)]
    return " ".join((causes or lines or ["no output"])[-1].split())[:300].rstrip(".")


def _started(pid: int) -> str:
    """When a process started, in ticks: with its id it is unmistakable. Empty if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _is_alive(process: Mapping[str, Any]) -> bool:
    return bool(process["started"]) and _started(process["pid"]) == process["started"]


def _stop(process: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_END
    if _is_alive(process):
        os.kill(process["pid"], signal.SIGTERM)
    while _is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    if _is_alive(process):
        os.kill(process["pid"], signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "submit", "status", "down"):
        command = commands.add_parser(name)
        command.add_argument("--folder", type=Path, default=Path("flink-cluster"))
        if name == "up":
            command.add_argument("--jar", default=os.environ.get(needs.JAR) or None)
            for port, usual in _PORTS.items():
                command.add_argument(f"--{port}-port", type=int, default=usual)
        if name == "submit":
            command.add_argument("job", nargs="+", help="a command of facemill with its options")
    given = parser.parse_args(arguments)
    cluster = Cluster(given.folder)
    try:
        if given.command == "up":
            cluster.up(given.jar, {name: getattr(given, f"{name}_port") for name in _PORTS})
            print(f"Flink: http://{cluster.rest}, {cluster.task_managers()} TaskManagers")
            if given.jar is None:
                print(f"no job server: {needs.no_job_server(None)}")
        elif given.command == "submit":
            program = [sys.executable, "-m", "facemill.pipelines.cli"]
            # In place of this process, so that Ctrl-C and SIGTERM reach the command, which cancels
            # its job; a parent would kill it a moment after Ctrl-C.
            os.execv(sys.executable, [*program, *given.job, *cluster.flags()])
        elif given.command == "status":
            for name, pid in cluster.processes().items():
                print(f"{name} {pid}")
            print(f"{cluster.task_managers()} TaskManagers at http://{cluster.rest}")
        else:
            cluster.down()
    except needs.ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
