"""The manifests for Kubernetes: what they must agree on with each other and with the scripts."""

import argparse
import dataclasses
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.pipelines.ingest.options import IngestOptions
from tests.deploy.flink import FOLDER

FILES = sorted((FOLDER / "kubernetes").glob("*.yaml"))


def documents() -> list[dict[str, Any]]:
    return [one for file in FILES for one in yaml.safe_load_all(file.read_text())]


def one(kind: str) -> dict[str, Any]:
    (found,) = (one for one in documents() if one["kind"] == kind)
    return found


def containers(found: Any) -> list[dict[str, Any]]:
    """All containers of a document."""
    if isinstance(found, dict):
        below = [one for value in found.values() for one in containers(value)]
        return [*found.get("containers", ()), *below]
    return [one for value in found for one in containers(value)] if isinstance(found, list) else []


@pytest.fixture(scope="module")
def flags() -> dict[str, str]:
    (launcher,) = containers(one("Job"))
    command, *flags = launcher["args"]
    assert command == "ingest"
    return dict(flag.split("=", 1) for flag in flags)


def test_every_document_has_a_kind_and_a_name():
    assert len(FILES) == 3
    for document in documents():
        assert document["apiVersion"]
        assert document["kind"]
        assert document["metadata"]["name"]


def test_flinks_settings_are_those_of_the_script():
    ours = yaml.safe_load((FOLDER / "config.yaml").read_text())
    # The operator sets these two by the resources of the pods.
    of_pods = {"taskmanager.memory.process.size", "jobmanager.memory.process.size"}
    given = one("FlinkDeployment")["spec"]["flinkConfiguration"]
    # A value that is no string is refused by the operator.
    assert all(isinstance(value, str) for value in given.values())
    assert given == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in ours.items()
        if name not in of_pods
    }


def test_each_taskmanager_has_a_pool_where_the_job_looks_for_it(flags):
    template = one("FlinkDeployment")["spec"]["taskManager"]["podTemplate"]
    pool = next(one for one in containers(template) if one["name"] == "python-workers")
    assert pool["args"] == ["--worker_pool"]
    port = pool["ports"][0]["containerPort"]
    assert flags["--environment_type"] == "EXTERNAL"
    assert flags["--environment_config"] == f"localhost:{port}"


def test_the_job_finds_server_and_cluster(flags):
    service = one("Service")
    host, port = flags["--job_endpoint"].split(":")
    assert (host, int(port)) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    # The operator names the service of a deployment's REST API so.
    rest = f"{one('FlinkDeployment')['metadata']['name']}-rest:8081"
    assert flags["--flink_master"] == rest
    (server,) = containers(one("Deployment"))
    assert f"--flink-master={rest}" in server["args"]
    assert f"--job-port={port}" in server["args"]
    host, port = flags["--artifact_endpoint"].split(":")
    assert (host, int(port)) == (service["metadata"]["name"], service["spec"]["ports"][1]["port"])
    assert f"--artifact-port={port}" in server["args"]


def test_the_job_stages_nothing(flags):
    """What is staged lies with the job server, where workers do not find it."""
    assert flags["--experiments"] == "disable_logging_submission_environment"


def test_workers_and_launcher_run_the_same_image_without_rights():
    ours = [one for one in containers(documents()) if one["name"] in ("python-workers", "launcher")]
    assert len({one["image"] for one in ours}) == 1
    assert len(ours) == 2
    for container in ours:
        assert container["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_jobs_flags_are_facemills_and_beams(flags):
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve")
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    for field in dataclasses.fields(IngestOptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}")
    _, unknown = parser.parse_known_args([f"{name}={value}" for name, value in flags.items()])
    assert not unknown


def test_every_pod_that_asks_nobody_is_fenced():
    spec = one("NetworkPolicy")["spec"]
    fenced = set(spec["podSelector"]["matchExpressions"][0]["values"])
    # The operator labels the pods of a deployment with its name.
    assert fenced == {
        one("FlinkDeployment")["metadata"]["name"],
        one("Deployment")["spec"]["template"]["metadata"]["labels"]["app"],
    }
    launcher = one("Job")["spec"]["template"]["metadata"]["labels"]["app"]
    admitted = spec["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"]
    assert launcher in admitted
