"""The error of a failure in a worker of a portable runner, in another process."""

import apache_beam as beam
import pytest

from facemill.pipelines.common import runner
from facemill.pipelines.common.progress import Progress
from facemill.transforms.core.errors import NotSharedError, RunError, naming

pytestmark = [pytest.mark.portable, pytest.mark.slow]


def test_a_failure_in_a_worker_names_the_flag(prism_flags):
    def fail(element: int) -> None:
        raise NotSharedError("/out/x", "node7")

    def build(pipeline) -> None:
        _ = pipeline | beam.Create([1]) | beam.Map(fail)

    with pytest.raises(RunError) as failed, naming({"output": "--output"}):
        runner.choose(prism_flags).run(build, Progress("things", lambda: 0))
    assert str(failed.value) == (
        "--output must be on storage that all workers see at the same path, but /out/x is not "
        "there on node7; mount it on every worker or give another path."
    )
