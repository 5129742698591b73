import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from facemill.transforms.core.coders import register
from facemill.transforms.core.merging import CoGroup, Merge
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.rows import RowIds
from facemill.transforms.duplicates.verdicts import Exclusion, Verdict
from tests.pipelines.graphs import Graph, check

register(RowIds, Exclusion)
EXCLUSION = Exclusion(
    1, 2, 2**63, Verdict("conflict", Reason(ReasonCode.NAME_NOT_UTF8, "near duplicate"), "")
)


def row_ids(*values: int) -> RowIds:
    return RowIds.of(np.array(values, np.uint64))


@pytest.mark.moderate
@pytest.mark.parametrize("count", [1, 3])
def test_merged_streams_have_all_elements(count):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        streams = tuple(
            pipeline | f"Create{number}" >> beam.Create([row_ids(number), row_ids()])
            for number in range(count)
        )
        merged = streams | Merge()
        assert merged.element_type is RowIds
        assert_that(merged, equal_to([*map(row_ids, range(count)), *[row_ids()] * count]))


def test_a_merged_stream_may_also_be_grouped():
    pipeline = beam.Pipeline(runner="FnApiRunner")
    one, other = (
        pipeline | name >> beam.Create([(1, row_ids(2))]).with_output_types(tuple[int, RowIds])
        for name in ("One", "Other")
    )
    _ = one | beam.GroupByKey()
    _ = (one, other) | Merge()
    assert check(Graph(pipeline), "One") == set()
    _ = (one, other) | "Plain" >> beam.Flatten()
    with pytest.raises(AssertionError, match=" is read by "):
        check(Graph(pipeline), "One")


@pytest.mark.moderate
def test_values_of_each_stream_come_together_by_key():
    pairs = {
        "ids": [(1, row_ids(7)), (2, row_ids(8)), (1, row_ids(9))],
        "exclusions": [(2, EXCLUSION), (3, EXCLUSION)],
        "none": [],
    }
    kinds = {"ids": RowIds, "exclusions": Exclusion, "none": str}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        streams = {
            name: pipeline | name >> beam.Create(some).with_output_types(tuple[int, kinds[name]])
            for name, some in pairs.items()
        }
        found = streams | CoGroup() | beam.Map(_as_text)
        expected = [
            f"1 exclusions [] ids {[row_ids(7), row_ids(9)]} none []",
            f"2 exclusions {[EXCLUSION]} ids {[row_ids(8)]} none []",
            f"3 exclusions {[EXCLUSION]} ids [] none []",
        ]
        assert_that(found, equal_to(expected))


def test_streams_under_keys_of_several_types_are_refused():
    pipeline = beam.Pipeline(runner="FnApiRunner")
    streams = {
        name: pipeline | name >> beam.Create([(key, 1)])
        for name, key in (("numbers", 1), ("names", "a"))
    }
    with pytest.raises(TypeError, match="must have keys of one type, got"):
        _ = streams | CoGroup()


def _as_text(group):
    key, streams = group
    values = (f"{name} {sorted(some, key=_data)}" for name, some in sorted(streams.items()))
    return " ".join([str(key), *values])


def _data(value):
    return value.data if isinstance(value, RowIds) else b""
