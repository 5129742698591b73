"""How many stages the graphs have on a portable runner, where each costs seconds.

The first graphs, of which a run on Flink was measured, had 92 stages of Python in ingest, of 194
vertices, and 23 in score, of 40.
"""

from typing import Any

import apache_beam as beam
import pytest

from tests.pipelines.ingest.ingesting import arguments
from tests.pipelines.stages import stages
from tests.pipelines.test_portability import graph_of, launcher, model, photos

__all__ = ["launcher", "model", "photos"]


@pytest.mark.moderate
def test_ingest(photos, launcher, monkeypatch):
    found = stages(graph_of(arguments(photos, launcher.shared / "dataset"), monkeypatch))
    assert len(found.python) <= 37
    assert found.vertices <= 66


@pytest.mark.moderate
def test_score(photos, model, launcher, monkeypatch):
    output = launcher.shared / "embeddings"
    command = ["score", "--input", photos, "--model", model, "--output", output, "--workers", 1]
    found = stages(graph_of([str(word) for word in command], monkeypatch))
    assert len(found.python) <= 11
    assert found.vertices <= 20


def _plus(element: Any, *sides: Any) -> Any:
    return element


def _graph() -> tuple[beam.Pipeline, beam.PCollection]:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    start = pipeline | beam.Impulse()
    return pipeline, start | "Numbers" >> beam.FlatMap(lambda _: [1, 2]).with_output_types(int)


def test_steps_in_a_row_are_one_stage():
    pipeline, numbers = _graph()
    _ = numbers | "One" >> beam.Map(_plus) | "Two" >> beam.Map(_plus)
    assert stages(pipeline).python == [["Numbers", "One", "Two"]]
    assert stages(pipeline).vertices == 2


def test_a_side_input_begins_a_stage_and_ends_that_of_its_collection():
    pipeline, numbers = _graph()
    other = numbers | "Other" >> beam.Map(_plus)
    _ = numbers | "With" >> beam.Map(_plus, beam.pvalue.AsList(other))
    found = {tuple(sorted(one)) for one in stages(pipeline).python}
    assert found == {("Numbers",), ("Other",), ("With",)}


@pytest.mark.parametrize(("step", "native"), [(beam.GroupByKey, 2), (beam.Reshuffle, 2)])
def test_a_grouping_is_the_runners(step, native):
    pipeline, numbers = _graph()
    pairs = numbers | "Pair" >> beam.Map(lambda one: (one, one)).with_output_types(tuple[int, int])
    _ = pairs | "Native" >> step() | "After" >> beam.Map(_plus)
    found = stages(pipeline)
    assert found.python == [["Numbers", "Pair"], ["After"]]
    assert len(found.native) == native


def test_what_several_stages_flatten_is_merged_by_the_runner():
    pipeline, numbers = _graph()
    spread = numbers | "Spread" >> beam.Reshuffle() | "One" >> beam.Map(_plus)
    again = spread | "Again" >> beam.Reshuffle() | "Two" >> beam.Map(_plus)
    both = (spread | "A" >> beam.Map(_plus), again) | "Both" >> beam.Flatten()
    _ = both | "Last" >> beam.Reshuffle()
    assert [one for one in stages(pipeline).native if one.startswith("Merge")]
