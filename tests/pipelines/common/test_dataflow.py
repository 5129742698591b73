"""What a Dataflow job must have is asked for before anything is submitted."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.pipelines import cli
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
        ({"project": ""}, "--project must be the Google Cloud project"),
        ({"template_location": "gs://bucket/x"}, "--template_location must not be given"),
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


def test_a_path_of_a_disk_is_named():
    dataflow.check_paths({"input": "gs://bucket/a", "root": None, "since": ("s3://bucket/b",)})
    for value in ("/data/out", ("gs://bucket/a", "/data/out")):
        with pytest.raises(UsageError, match=r"^`since` must be on an object .*, got /data/out; "):
            dataflow.check_paths({"input": "gs://bucket/a", "since": value})


ON_DISK = {
    "ingest": ("input", "root", "exclude-dataset", "append-to", "output"),
    "score": ("input", "root", "model", "since", "output"),
    "detect": ("input", "root", "crops", "output"),
    "match": ("probes", "gallery", "output"),
    "cluster": ("embeddings", "output"),
    "evaluate": ("embeddings", "output"),
}


@pytest.mark.parametrize(
    ("command", "on_disk"), [(one, name) for one, names in ON_DISK.items() for name in names]
)
def test_a_job_is_refused_before_it_begins(command, on_disk, tmp_path, capsys):
    """Nothing of what is named exists: paths are looked at before anything is read."""
    words = [command, "--runner=DataflowRunner", "--no_auth"]
    words += [f"--{name}={value}" for name, value in RIGHT.items()]
    for name in ON_DISK[command]:
        words += [f"--{name}", str(tmp_path / "x") if name == on_disk else f"gs://bucket/{name}"]
    if command == "evaluate":
        words += ["--pairs", "all"]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said == (
        f"facemill: --{on_disk} must be on an object store, which all workers of DataflowRunner "
        f"reach, got {tmp_path / 'x'}; give a gs:// or s3:// URL.\n"
    )
    assert not (tmp_path / "x").exists()


def test_a_command_that_is_no_beam_job_takes_no_runner(tmp_path, capsys):
    given = {
        "compact": ("--partitions", "a", "--output", "b"),
        "enroll": ("--embeddings", "a", "--output", "b"),
        "train": ("--dataset", "a", "--output", "b"),
        "match": ("--pairs", "a", "--embeddings", "c", "--output", "b"),
        "evaluate": ("--pairs", "a", "--embeddings", "c", "--output", "b"),
    }
    for command, words in given.items():
        assert cli.main([command, *words, "--runner=FlinkRunner"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "--runner=FlinkRunner" in said
