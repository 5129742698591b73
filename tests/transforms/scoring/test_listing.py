import apache_beam as beam
from apache_beam.testing.util import assert_that

from transforms.chunk import Chunk
from transforms.places import CHUNK
from transforms.scoring.listing import GroupByRange
from transforms.sources.base import Ref


def ranges(chunks: list[Chunk], check) -> None:
    total = sum(chunk.count for chunk in chunks)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        count = pipeline | "Total" >> beam.Create([total])
        found = pipeline | beam.Create(chunks) | GroupByRange(count)
        assert_that(found, check)


def test_every_image_is_in_one_range_whatever_chunk_it_came_in():
    refs = [Ref(f"{number:04d}", None, f"{number:04d}") for number in range(3 * CHUNK)]
    seen: list[dict[int, list[str]]] = []

    def check(groups):
        found = {
            key: sorted(ref.image_id for part in parts for ref in part) for key, parts in groups
        }
        assert set(found) == {0, 1, 2}
        listed = [key for keys in found.values() for key in keys]
        assert sorted(listed) == [ref.image_id for ref in refs]
        seen.append(found)

    ranges([Chunk.of(0, refs)], check)
    ranges([Chunk.of(number, refs[number::5][::-1]) for number in range(5)], check)
