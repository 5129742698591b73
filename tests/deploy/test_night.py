"""Two nights in a row, as cron and systemd start them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import nights

DEPLOY = Path(__file__).parents[2] / "deploy"
COMMAND = f"{sys.executable} -m facemill.pipelines.cli"


def run(words: list[str], **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        words, env=os.environ | more, capture_output=True, text=True, timeout=300, check=False
    )


def cron_command(env_file: Path) -> str:
    """What cron gives to the shell: the last line without its five times and its user."""
    line = (DEPLOY / "cron" / "facemill-night").read_text().splitlines()[-1]
    *times, user, command = line.split(maxsplit=6)
    assert times == ["0", "2", "*", "*", "*"]
    assert user == "facemill"
    assert "%" not in command, "cron would take it for the end of the line"
    for here, there in (
        ("/etc/facemill/night.env", str(env_file)),
        ("/opt/facemill/deploy", str(DEPLOY)),
        ("/var/log/facemill-night.log", str(env_file.parent / "night.log")),
        ("$HOME/night.lock", str(env_file.parent / "night.lock")),
    ):
        assert here in command
        command = command.replace(here, there)
    return command


def unit(name: str) -> dict[str, str]:
    """The settings of a systemd unit."""
    lines = (DEPLOY / "systemd" / name).read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return dict(pairs)


@pytest.mark.slow
def test_two_nights_in_a_row(tmp_path):
    nights.prepare(tmp_path)
    settings = nights.settings(tmp_path, COMMAND)
    env_file = tmp_path / "night.env"
    env_file.write_text("".join(f'{name}="{value}"\n' for name, value in settings.items()))
    done = run(["/bin/sh", "-c", cron_command(env_file)], NIGHT=nights.FIRST)
    assert done.returncode == 0, (tmp_path / "night.log").read_text()
    nights.check_first(tmp_path)

    nights.next_day(tmp_path)
    service = unit("facemill-night.service")
    assert service["EnvironmentFile"] == "/etc/facemill/night.env"
    (word,) = shlex.split(service["ExecStart"])
    script = word.replace("/opt/facemill/deploy", str(DEPLOY))
    done = run([script], **settings, NIGHT=nights.SECOND)
    assert done.returncode == 0, done.stderr
    nights.check_second(tmp_path)

    # A wrong setting ends with the exit code that systemd does not try again after.
    done = run([script], **settings | {"MODEL": str(tmp_path / "nowhere")})
    assert done.returncode == int(service["RestartPreventExitStatus"])
    status = json.loads((tmp_path / "out" / "status" / "score.json").read_text())
    assert status["state"] == "refused"
    assert "nowhere" in status["message"]


def test_a_missing_setting_is_named():
    settings = dict.fromkeys(("PHOTOS", "OUTPUT"), "x")
    done = run([str(DEPLOY / "night.sh")], **settings)
    assert done.returncode == 2
    assert "MODEL must name the model" in done.stderr.replace(": ", " ")


def test_a_wrong_step_is_refused():
    settings = dict.fromkeys(("PHOTOS", "OUTPUT", "MODEL"), "x")
    done = run([str(DEPLOY / "night.sh"), nights.FIRST, "evaluate"], **settings)
    assert done.returncode == 2
    assert "got evaluate" in done.stderr


def test_the_settings_are_read_alike_by_a_shell_and_by_systemd():
    lines = (DEPLOY / "night.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    done = run(["/bin/sh", "-ec", f"set -a; . {DEPLOY / 'night.env'}; env"])
    assert done.returncode == 0, done.stderr
    there = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert {name: there[name] for name in given} == {
        # systemd takes the quotes off, and nothing else.
        name: value.removeprefix('"').removesuffix('"')
        for name, value in given.items()
    }
    assert set(nights.settings(Path("x"), "y")) <= set(given)
