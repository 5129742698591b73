"""What a Flink cluster needs of this machine: Flink 1.20, Java, Beam's job server, facemill."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FLINK_VERSION = "1.20.5"
JAR = "FLINK_JOB_SERVER_JAR"
# Served by PyPI; the first has Flink itself, the second its scripts for Python.
_PACKAGES = ("apache-flink-libraries", "apache-flink")
_COORDINATES = "org.apache.beam:beam-runners-flink-1.20-job-server"


class ClusterError(Exception):
    """One sentence: what must hold, what was got, what to do."""


def flink_home(folder: Path) -> Path:
    """Flink's folder: $FLINK_HOME, or the packages of PyPI, installed into `folder`.

    Raises:
        ClusterError: there is no Flink 1.20.
    """
    named = os.environ.get("FLINK_HOME")
    home = Path(named) if named else folder / "flink" / "pyflink"
    if not named and not (home / "bin" / "taskmanager.sh").exists():
        packages = [f"{name}=={FLINK_VERSION}" for name in _PACKAGES]
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        # Never into the environment of facemill: Flink's Python needs an old Beam.
        target = folder / "flink"
        done = subprocess.run(
            [*install, "--target", str(target), *packages],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(target, ignore_errors=True)
            last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
            raise ClusterError(
                f"Flink {FLINK_VERSION} must be installed, but pip could not ({last}); unpack it "
                "yourself and set FLINK_HOME."
            )
    dist = sorted(path.name for path in (home / "lib").glob("flink-dist-*.jar"))
    if not dist or not dist[0].startswith("flink-dist-1.20."):
        raise ClusterError(
            f"FLINK_HOME must be the folder of a Flink 1.20, got {home} with "
            f"{', '.join(dist) or 'no lib/flink-dist-*.jar'}; unpack Flink 1.20 or unset it."
        )
    return home.resolve()


def java_options(home: Path) -> str:
    """What Flink gives to Java 17, from its own configuration."""
    text = (home / "conf" / "config.yaml").read_text("utf-8")
    found = re.search(r"^\s+all:\s*(--add\S.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def no_job_server(jar: str | None) -> str:
    """Why no job can be submitted, and what to do."""
    return (
        "A job must have Beam's job server for Flink 1.20, "
        + (f"but that of {jar} does not run" if jar else "got no jar of it")
        + f"; get {_COORDINATES} 2.73 or later from Maven Central and give its path as "
        f"--jar of `up`, or as {JAR}."
    )


def check_jar(jar: str) -> None:
    """Fails where the job server's jar is absent."""
    if not Path(jar).is_file():
        raise ClusterError(
            f"--jar must be a file, got {jar}; get {_COORDINATES} 2.73 or later from Maven Central."
        )


def check_java() -> None:
    """Fails where there is no Java that Flink 1.20 runs on."""
    try:
        said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise ClusterError(
            "Flink must have Java 11 or 17, but found no `java`; install it or set JAVA_HOME."
        ) from None
    version = re.search(r'version "(\d+)', said.stderr)
    if version is None or int(version.group(1)) not in (11, 17):
        raise ClusterError(
            f"Flink must have Java 11 or 17, got {said.stderr.splitlines()[0]}; set JAVA_HOME."
        )


def check_facemill() -> None:
    """Fails where workers, which run this Python, would not find facemill."""
    code = "import facemill, apache_beam"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(
            f"The Python of the workers must have facemill, but {sys.executable} has not "
            f"({(done.stderr.strip().splitlines() or ['no reason'])[-1]}); run this script with "
            "the Python of facemill's environment."
        )


def java() -> str:
    """The program that runs Java."""
    home = os.environ.get("JAVA_HOME")
    return os.path.join(home, "bin", "java") if home else "java"
