import pytest

from facemill.pipelines.common.local import is_local


@pytest.mark.parametrize(
    ("flags", "local"),
    [
        ([], True),
        (["--runner=FnApiRunner"], True),
        (["--runner", "DirectRunner"], True),
        (["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"], True),
        (["--direct_running_mode=multi_processing", "stray"], True),
        (["--runner"], True),
        (["--runner=fnapirunner"], True),
        (["--runner=direct"], True),
        (["--runner=flink"], False),
        (["--runner=PortableRunner"], False),
        (["--other", "--runner", "FlinkRunner"], False),
        (["--runner=FnApiRunner", "--runner=DataflowRunner"], False),
        (["--runner=apache_beam.runners.PrismRunner"], False),
    ],
)
def test_a_runner_is_known_to_be_local(flags, local):
    assert is_local(flags) == local
