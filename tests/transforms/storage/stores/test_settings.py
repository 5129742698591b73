"""How the stores are reached: flags, children of this process, and workers elsewhere."""

import dataclasses
import os
import subprocess
import sys

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from facemill.transforms.storage.stores import access, settings
from facemill.transforms.storage.stores.settings import Settings, current, take_flags

SECRETS = ("--s3_access_key_id=key-1", "--s3_secret_access_key=secret-1", "--s3_session_token=t-1")
ENDPOINT = "--s3_endpoint_url=http://host:1"


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """A process that no flags were given."""
    monkeypatch.setattr(settings, "_given", None)
    monkeypatch.setattr(settings, "_launching", False)
    monkeypatch.setattr(RuntimeValueProvider, "runtime_options", None)
    for name in (settings._VARIABLE, *settings._STORES_VARIABLES):
        # Set first, so that what the test sets is undone.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_without_flags_nothing_is_given():
    assert current() == Settings()
    assert not settings.is_launcher()
    assert take_flags([]) == []
    assert current() == Settings()
    assert settings.is_launcher()


def test_the_flags_of_stores_are_taken_and_others_are_left():
    others = ["--runner=x", "--s3_reg=eu", "--n", "1"]
    assert take_flags([ENDPOINT, "--s3_region_name", "eu-1", *others, "--no_auth"]) == others
    assert current() == Settings(
        s3_endpoint_url="http://host:1", s3_region_name="eu-1", no_auth=True
    )


def test_every_setting_is_a_flag_of_beam():
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names <= set(PipelineOptions([]).get_all_options())


def in_a_child() -> str:
    code = "from facemill.transforms.storage.stores import settings; print(settings.current())"
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return child.stdout.strip()


def test_a_process_that_the_launcher_starts_inherits_the_settings():
    take_flags([*SECRETS, ENDPOINT, "--s3_disable_ssl"])
    assert in_a_child() == repr(current())
    # A later command of the same process, as in tests and notebooks, starts anew.
    take_flags([])
    assert in_a_child() == repr(Settings())


def test_a_worker_of_a_remote_runner_takes_the_options_of_the_job():
    options = PipelineOptions([*SECRETS, ENDPOINT, "--no_auth", "--runner=DirectRunner"])
    RuntimeValueProvider.set_runtime_options(options.get_all_options())
    assert current() == Settings(
        s3_access_key_id="key-1",
        s3_secret_access_key="secret-1",
        s3_session_token="t-1",
        s3_endpoint_url="http://host:1",
        no_auth=True,
    )


def test_workers_elsewhere_get_flags_and_endpoints_but_no_credentials_of_the_environment(
    monkeypatch,
):
    assert settings.for_workers() == (Settings(), {})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-1")
    variables = {"AWS_ENDPOINT_URL": "http://all:1", "AWS_DEFAULT_REGION": "eu-1"}
    assert settings.for_workers() == (Settings(), variables)
    take_flags([*SECRETS, "--s3_region_name=eu-3"])
    assert settings.for_workers() == (current(), variables)


def test_a_worker_takes_flags_of_the_launcher_and_variables_that_it_lacks(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://own:1")
    flags = Settings(s3_access_key_id="key-1")
    settings.offer(flags, {"AWS_ENDPOINT_URL": "http://launcher:1", "AWS_REGION": "eu-1"})
    assert current() == flags
    assert os.environ["AWS_ENDPOINT_URL"] == "http://own:1"
    assert os.environ["AWS_REGION"] == "eu-1"


def test_the_launcher_takes_nothing_from_its_own_steps():
    take_flags([ENDPOINT])
    settings.offer(Settings(s3_endpoint_url="http://other:1"), {})
    assert current() == Settings(s3_endpoint_url="http://host:1")


@pytest.mark.moderate
@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://b/x", "AWS_ENDPOINT_URL"),
        ("s3://b/x", "AWS_ACCESS_KEY_ID"),
        ("s3://b/x", "AWS_SESSION_TOKEN"),
        ("gs://b/x", "STORAGE_EMULATOR_HOST"),
    ],
)
def test_another_endpoint_or_credential_leads_to_another_client(monkeypatch, url, name):
    monkeypatch.setattr(access, "_stores", {})
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://host:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    where = access.parse(url)
    monkeypatch.setenv(name, "http://host:2")
    first = access._store(url, where)
    assert access._store(url, where) is first
    monkeypatch.setenv(name, "http://host:3")
    assert access._store(url, where) is not first
