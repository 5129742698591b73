import copy
import pickle
import shutil

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    TypeOptions,
)

from facemill.transforms.core.beam_options import OptionsWithViews

FLAGS = ["--runner", "PortableRunner", "--job_endpoint", "localhost:1", "--experiments", "one"]


def test_a_view_is_made_once():
    options = OptionsWithViews(FLAGS)
    assert options.view_as(TypeOptions) is options.view_as(TypeOptions)
    assert type(options.view_as(StandardOptions)) is StandardOptions


def test_a_value_set_in_one_view_is_in_the_views_made_before_and_after():
    options = OptionsWithViews(FLAGS)
    before = options.view_as(StandardOptions)
    # A view of a view is Beam's own, and new.
    before.view_as(StandardOptions).runner = "FnApiRunner"
    options.view_as(DebugOptions).experiments.append("two")
    assert before.runner == options.view_as(StandardOptions).runner == "FnApiRunner"
    assert options.get_all_options()["experiments"] == ["one", "two"]


def test_values_are_those_of_beams_own_class():
    expected = PipelineOptions(FLAGS)
    options = OptionsWithViews(FLAGS)
    for kind in PipelineOptions.__subclasses__():
        if kind is not OptionsWithViews:
            assert str(options.view_as(kind)) == str(expected.view_as(kind))
    assert options.get_all_options() == expected.get_all_options()
    assert options.to_runner_api() == expected.to_runner_api()


def test_a_copy_has_views_of_its_own_values():
    options = OptionsWithViews(FLAGS)
    view = options.view_as(PortableOptions)
    for other in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        assert type(other) is OptionsWithViews
        other.view_as(PortableOptions).job_endpoint = "localhost:2"
        assert other.view_as(PortableOptions).job_endpoint == "localhost:2"
        assert view.job_endpoint == "localhost:1"


def test_a_pipeline_keeps_the_class():
    pipeline = beam.Pipeline(runner="FnApiRunner", options=OptionsWithViews([]))
    # Beam removes this folder at the end of a run, and this pipeline never runs.
    shutil.rmtree(pipeline.local_tempdir)
    assert pipeline.options.view_as(TypeOptions) is pipeline.options.view_as(TypeOptions)
