"""By which options workers can have facemill."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.pipelines.common.environments import check_environment
from facemill.transforms.core.errors import UsageError

SERVER = "--job_endpoint=localhost:8099"


@pytest.mark.parametrize(
    ("runner", "flags", "said"),
    [
        ("PortableRunner", [SERVER], "Workers must have facemill, but Beam's own image"),
        ("PortableRunner", [SERVER, "--environment_type=DOCKER"], "Workers must have facemill"),
        ("FlinkRunner", ["--flink_master=node1:8081"], "Workers must have facemill"),
        ("a.SparkRunner", ["--spark_master_url=spark://n:7077"], "Workers must have facemill"),
        ("PortableRunner", ["--environment_type=external"], "LOOPBACK, got external; see"),
        ("FlinkRunner", ["--environment_type=FOO"], "EXTERNAL, PROCESS, DOCKER or LOOPBACK, got"),
        ("PortableRunner", ["--environment_type=EXTERNAL"], "got none; give its HOST:PORT."),
        ("PortableRunner", ["--environment_type=PROCESS"], "got none; name the program that"),
        (
            "PortableRunner",
            ["--environment_type=PROCESS", "--environment_config=/opt/boot"],
            'must be such as {"command": "/path/boot"}, with --environment_type=PROCESS, got /opt',
        ),
        ("FlinkRunner", ["--environment_type=PROCESS", "--environment_config={}"], "got {}; name"),
    ],
)
def test_workers_without_facemill_are_refused(runner, flags, said):
    with pytest.raises(UsageError) as refused:
        check_environment(runner, PipelineOptions(flags))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("runner", "flags"),
    [
        ("FnApiRunner", []),
        ("DataflowRunner", []),
        ("PrismRunner", []),
        ("FlinkRunner", []),
        ("FlinkRunner", ["--flink_master=[local]"]),
        ("SparkRunner", []),
        ("PortableRunner", ["--job_endpoint=embed"]),
        ("PortableRunner", [SERVER, "--environment_type=LOOPBACK"]),
        ("PortableRunner", [SERVER, "--environment_type=DOCKER", "--environment_config=x/y:1"]),
        ("PortableRunner", [SERVER, "--environment_options=docker_container_image=x/y:1"]),
        ("PortableRunner", [SERVER, "--extra_package=facemill.whl"]),
        ("PortableRunner", ["--environment_type=EXTERNAL", "--environment_config=node7:50000"]),
        ("FlinkRunner", ["--environment_type=PROCESS", '--environment_config={"command": "a"}']),
        ("FlinkRunner", ["--environment_type=PROCESS", "--environment_option=process_command=a"]),
        ("PortableRunner", ["--environment_type=beam:env:docker:v1"]),
    ],
)
def test_workers_that_may_have_facemill_are_accepted(runner, flags):
    check_environment(runner, PipelineOptions(flags))
