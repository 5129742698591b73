"""Finds duplicates in a Beam pipeline that uses nothing else of facemill.

The pipeline reads files by a pattern with Beam's own `fileio`, and its keys are the files' paths.
`FindDuplicates` emits a row for each file that duplicates another. The pipeline joins these rows by
key with its own data, here with the sizes of the files.

    python examples/dedup_in_a_pipeline.py 'photos/**/*.jpg'
"""

import sys
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.io import fileio

import facemill


def main(arguments: Sequence[str]) -> None:
    """Prints each copy with the file that is kept, and the bytes that all copies take."""
    pattern = arguments[0] if arguments else "demo/photos/images/**"
    with beam.Pipeline() as pipeline:
        files = (
            pipeline
            | "Match" >> fileio.MatchFiles(pattern)
            | "Open" >> fileio.ReadMatches()
            | "Read" >> beam.Map(lambda file: (file.metadata.path, file.read()))
        )
        copies = (
            files
            | "FindDuplicates" >> facemill.beam.FindDuplicates(level="near")
            | "Copies" >> beam.Filter(lambda row: row.outcome == "duplicate")
            | "ByKey" >> beam.Map(lambda row: (row.key, row))
        )
        # The sizes alone are grouped, never the photos.
        sizes = files | "Sizes" >> beam.MapTuple(lambda key, data: (key, len(data)))
        wasted = {"sizes": sizes, "copies": copies} | beam.CoGroupByKey() | beam.FlatMap(_wasted)
        total = wasted | "Total" >> beam.CombineGlobally(sum)
        _ = total | "Print" >> beam.Map(lambda total: print(f"{total:,} bytes in copies"))


def _wasted(group: tuple[str, dict[str, Iterable]]) -> Iterator[int]:
    key, joined = group
    for row in joined["copies"]:
        print(f"{key}: {row.reason} of {row.duplicate_of}")
        yield sum(joined["sizes"])


if __name__ == "__main__":
    main(sys.argv[1:])
