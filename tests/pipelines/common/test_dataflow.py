"""What a Dataflow job must have is asked for before anything is submitted."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.pipelines.common import dataflow
from facemill.transforms.core.errors import UsageError

RIGHT = {
    "project": "p",
    "region": "europe-west4",
    "temp_location": "gs://bucket/temp",
    "sdk_container_image": "registry/facemill:1",
}


def check(**given: str) -> None:
    words = [f"--{name}={value}" for name, value in given.items() if value]
    dataflow.check_dataflow(PipelineOptions(words))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"region": ""}, "--region must be the region of the job"),
        ({"temp_location": ""}, "--temp_location must be a folder on Google's store"),
        ({"temp_location": "/tmp/x"}, "got /tmp/x"),
        ({"staging_location": "s3://bucket"}, "--staging_location must be"),
        ({"sdk_container_image": ""}, "build deploy/Dockerfile"),
    ],
)
def test_each_option_is_asked_for(change, sentence):
    with pytest.raises(UsageError, match=sentence):
        check(**RIGHT | change)


def test_missing_credentials_are_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(UsageError, match="Google's credentials must be there"):
        check(**RIGHT)


def test_a_service_of_this_machine_needs_none(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    check(**RIGHT, dataflow_endpoint="http://localhost:8555")


def test_a_disk_is_no_output():
    dataflow.check_paths("gs://bucket/out")
    with pytest.raises(UsageError, match="--output must be on an object store"):
        dataflow.check_paths("/data/out")
