import apache_beam as beam

from facemill.transforms.core import counters


def _count(number: int) -> None:
    counters.count("numbers")
    counters.count("sum", number)


def test_counters_are_summed_over_steps_and_bundles():
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        numbers = pipeline | beam.Create([1, 2, 3])
        _ = numbers | "Once" >> beam.Map(_count)
        _ = numbers | "Twice" >> beam.Map(_count)
    assert counters.values(pipeline.result) == {"numbers": 6, "sum": 12}


def test_a_runner_without_counters_gives_none():
    assert counters.values(object()) == {}
