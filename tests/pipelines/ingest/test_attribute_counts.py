import pyarrow as pa

from facemill.pipelines.ingest.attribute_counts import MOST_VALUES, AttributeCounts
from facemill.transforms.shards.index import SCHEMA


def part(*rows: tuple[str, dict[str, str]]) -> pa.Table:
    schema = pa.schema([SCHEMA.field("outcome"), SCHEMA.field("attributes")])
    return pa.Table.from_pylist(
        [{"outcome": outcome, "attributes": list(found.items())} for outcome, found in rows], schema
    )


def test_values_are_counted_over_parts():
    counts = AttributeCounts()
    counts.add(part(("kept", {"age": "30", "sex": "f"}), ("rejected", {"age": "30"})))
    counts.add(part(("kept", {"age": "40"}), ("kept", {})))
    assert counts.listed == {"age": {"30": 2, "40": 1}, "sex": {"f": 1}}
    assert counts.kept == {"age": {"30": 1, "40": 1}, "sex": {"f": 1}}


def test_an_attribute_that_names_images_is_left_out_in_any_order_of_parts():
    many = [part(*(("kept", {"path": f"{n}", "sex": "f"}) for n in range(MOST_VALUES)))]
    more = [part(("kept", {"path": "other", "sex": "m"}))]
    for parts in (many + more, more + many):
        counts = AttributeCounts()
        for one in parts:
            counts.add(one)
        assert counts.listed == {"sex": {"f": MOST_VALUES, "m": 1}}
        assert counts.kept == counts.listed
