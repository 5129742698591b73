"""Two nights in a row by Airflow's own command, in an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import nights

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.airflow
def test_two_nights_in_a_row(tmp_path):
    airflow = Path(os.environ.get("FACEMILL_AIRFLOW", ".tools/airflow/bin/airflow")).absolute()
    assert airflow.is_file(), (
        f"{airflow} must be Airflow's command; `make test-airflow` installs it"
    )
    dags = tmp_path / "airflow" / "dags"
    dags.mkdir(parents=True)
    (dags / "facemill_night.py").write_bytes((DEPLOY / "airflow/facemill_night.py").read_bytes())
    nights.prepare(tmp_path)
    settings = nights.settings(tmp_path, f"{sys.executable} -m facemill.pipelines.cli")
    env = os.environ | settings
    env |= {
        "FACEMILL_DEPLOY": str(DEPLOY),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{airflow.parent}{os.pathsep}{os.environ['PATH']}",
    }

    def call(*words: str) -> None:
        log = tmp_path / "airflow.log"
        with log.open("wb") as out:
            # A step that fails is tried again after ten minutes, so this ends first.
            done = subprocess.run(
                ["timeout", "300", airflow, *words], env=env, stdout=out, stderr=out, check=False
            )
        assert done.returncode == 0, log.read_text()[-4000:]

    call("db", "migrate")
    call("dags", "test", "facemill_night", nights.FIRST)
    nights.check_first(tmp_path)
    nights.next_day(tmp_path)
    call("dags", "test", "facemill_night", nights.SECOND)
    nights.check_second(tmp_path)
    # A night that is cleared and run again replaces its own results.
    call("dags", "test", "facemill_night", nights.SECOND)
    nights.check_second(tmp_path)
