"""Jobs submitted to a fake of Dataflow: the staged graph gives the bytes of a local run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemill.pipelines import cli
from facemill.transforms import storage
from facemill.transforms.faces.crop import CropConfig
from tests import stores
from tests.artifacts import contents
from tests.deploy.fake_dataflow import FakeDataflow, fake_dataflow
from tests.on_stores.copies import contents_of
from tests.transforms.scoring import handmade

pytestmark = pytest.mark.dataflow


@pytest.fixture(scope="module")
def service() -> Iterator[FakeDataflow]:
    with stores.gcs(), fake_dataflow() as fake:
        yield fake


@pytest.fixture(scope="module")
def root(service, tiny_photos, tmp_path_factory) -> str:
    """Photos and a model on the store."""
    root = f"gs://{stores.BUCKET}/root"
    model = tmp_path_factory.mktemp("model")
    handmade.write_model(model, CropConfig(16, "none"))
    storage.upload_folder(str(model), f"{root}/model")
    storage.upload_folder(str(tiny_photos), f"{root}/photos")
    return root


def flags(service: FakeDataflow, root: str) -> list[str]:
    return [
        *("--runner=DataflowRunner", "--project=project", "--region=europe-west4"),
        *(f"--temp_location={root}/temp", "--sdk_container_image=registry/facemill:test"),
        *(f"--dataflow_endpoint={service.url}", "--no_auth"),
        "--experiments=disable_logging_submission_environment",
    ]


def run(*words) -> int:
    return cli.main([str(word) for word in words])


def test_ingest_and_score(service, root, tmp_path, capsys):
    given = {
        "ingest": ("--image-size", 16),
        "score": ("--model", f"{root}/model", "--batch-size", 16),
    }
    for command, options in given.items():
        words = (command, "--input", f"{root}/photos", *options)
        code = run(*words, "--output", f"{root}/{command}", *flags(service, root))
        assert code == 0, capsys.readouterr().err + service.output
        assert run(*words, "--output", tmp_path / command, "--workers", 1) == 0
        found = contents_of(f"{root}/{command}", tmp_path / f"{command}-copy")
        assert found == contents(tmp_path / command)
        ran = json.loads(storage.read_bytes(f"{root}/{command}/run.json"))
        assert ran["runner"] == "DataflowRunner"
    assert len(service.jobs) == 2
    pool = service.jobs[-1]["environment"]["workerPools"][0]
    assert pool["sdkHarnessContainerImages"][0]["containerImage"] == "registry/facemill:test"


def test_a_flex_template(service, root, tmp_path, capsys):
    """As Google's launcher does: the program stages the job and ends, then the job is started."""
    entry = Path(__file__).parents[2] / "deploy" / "dataflow" / "flex.py"
    staged = f"{root}/staging/template_launches/1/job_object"
    before = len(service.jobs)
    words = [
        *(f"--input={root}/photos", f"--model={root}/model", f"--output={root}/flex"),
        *("--batch_size=16", "--flip_average=false", "--job_name=night"),
        *(f"--template_location={staged}", f"--staging_location={root}/staging"),
        *("--max_num_workers=7", "--unknown_to_beam=1", *flags(service, root)),
    ]
    done = subprocess.run(
        [sys.executable, str(entry), *words],
        env=os.environ | {"FACEMILL_COMMAND": "score"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--unknown_to_beam=1" in done.stderr
    assert len(service.jobs) == before, "the program only stages"
    service.submit(json.loads(storage.read_bytes(staged))).join()
    assert service.states[before:] == ["JOB_STATE_DONE"] * 2, service.output
    own, work = service.jobs[before:]
    assert own["environment"]["workerPools"][0]["autoscalingSettings"]["maxNumWorkers"] == 1
    assert work["environment"]["workerPools"][0]["autoscalingSettings"]["maxNumWorkers"] == 7
    assert work["name"] == "night-work"
    here = ("score", "--input", f"{root}/photos", "--model", f"{root}/model", "--batch-size", 16)
    assert run(*here, "--output", tmp_path / "here", "--workers", 1) == 0
    assert contents_of(f"{root}/flex", tmp_path / "copy") == contents(tmp_path / "here")


def test_workers_that_cannot_reach_the_output_are_told_before(service, root, tmp_path, capsys):
    given = ("ingest", "--input", f"{root}/photos", "--output", tmp_path / "out")
    assert run(*given, *flags(service, root)) == 2
    assert "--output must be on an object store" in capsys.readouterr().err
    assert Path(tmp_path / "out" / "manifest.json").exists() is False
