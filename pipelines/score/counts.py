"""What a graph that reads photos counts, as receipts."""

import dataclasses

import apache_beam as beam

from facemill.pipelines.score import checks
from facemill.transforms.dataset import write_results
from facemill.transforms.scan.listing import ListedSizes
from facemill.transforms.scoring.write import CountIgnored


def counts_of(
    listed: beam.PCollection, failures: beam.PCollection, read: beam.PCollection
) -> dict[str, beam.PCollection]:
    """The receipts of `checks.ZEROS`, which add up to what was listed, ignored and read.

    Args:
        listed: Chunk.
        failures: list[Failure].
        read: ReadCounts.
    """
    # Of its own, since what is also a side input ends a stage.
    sizes = listed | "CountListed" >> ListedSizes()
    ignored = failures | "CountIgnored" >> CountIgnored()
    count = write_results.count_receipt
    return {
        checks.LISTED: sizes | "ListedCount" >> beam.Map(count, "listed"),
        checks.IGNORED: ignored | "IgnoredCount" >> beam.Map(count, "ignored"),
        checks.COUNTS: read
        | "ReadCounts" >> beam.Map(dataclasses.asdict).with_output_types(dict[str, int]),
    }
