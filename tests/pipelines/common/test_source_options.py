import dataclasses

import pytest

from facemill.pipelines.common.source_options import SourceOptions
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.score.options import ScoreOptions


@pytest.mark.parametrize("options", [IngestOptions, ScoreOptions])
def test_options_of_the_source_follow_the_required_ones_and_precede_all_others(options):
    names = [field.name for field in dataclasses.fields(options)]
    required = [
        field.name
        for field in dataclasses.fields(options)
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    source = [field.name for field in dataclasses.fields(SourceOptions)]
    assert required
    assert names[: len(required) + len(source)] == [*required, *source]
