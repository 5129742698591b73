import logging
import os
import random

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from facemill.beam import Exclusion, FindDuplicates, Image, ReadImages, order_by_key
from facemill.beam import find_duplicates as module
from facemill.pipelines import cli
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset.read_index import read_index
from tests.api.conftest import photo
from tests.api.running import gathered

REJECTED = {"id5/empty.jpg", "id5/page.jpg"}


def found(elements, **named) -> list[Exclusion]:
    """The rows of some elements, by key."""
    return sorted(
        gathered(lambda pipeline: pipeline | beam.Create(elements) | FindDuplicates(**named))
    )


def images(collection) -> list[Image]:
    return [Image(key, data, key.partition("/")[0]) for key, data in collection.items()]


@pytest.fixture(scope="module")
def expected(collection) -> list[Exclusion]:
    """The rows of the collection by the defaults."""
    return found(images(collection))


def by_outcome(rows) -> dict[str, set[tuple[str, str | None]]]:
    outcomes: dict[str, set[tuple[str, str | None]]] = {}
    for row in rows:
        outcomes.setdefault(row.outcome, set()).add((row.key, row.duplicate_of))
    return outcomes


@pytest.mark.moderate
def test_pairs_of_key_and_bytes_give_the_duplicates_of_each_best_image(collection):
    outcomes = by_outcome(found(list(collection.items())))
    assert outcomes == {
        "duplicate": {
            ("id0/0.png", "id0/0-copy.png"),
            ("id1/1.png", "id1/1-large.png"),
            ("id1/1-small.jpg", "id1/1-large.png"),
            # JPEG makes it sharper by less than what counts, and leaves marks.
            ("id2/from-id3.jpg", "id3/2.png"),
            ("id5/0.png", "id4/same-as-id5.png"),
        },
        "rejected": {(key, None) for key in REJECTED},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "policy"),
    [
        pytest.param("exact", "drop", marks=pytest.mark.long),
        # It searches for what the levels below it search for, too.
        ("thorough", "keep-majority"),
        pytest.param("near", "keep-majority", marks=pytest.mark.long),
        pytest.param("thorough", "drop", marks=pytest.mark.long),
    ],
)
def test_exclusions_equal_those_of_ingest(collection, folder, tmp_path, level, policy):
    """The rows equal those in the index of a dataset of the same photos."""
    flags = ["--dedup", level, "--on-conflict", policy, "--split", "train=1", "--workers", "1"]
    command = ["ingest", "--input", str(folder), "--output", str(tmp_path / "dataset"), *flags]
    assert cli.main([*command, "--max-rejected", "1"]) == 0
    columns = ["image_id", "outcome", "duplicate_of", "reason", "reason_code"]
    index = read_index(tmp_path / "dataset", columns, [("outcome", "!=", "kept")])
    expected = {Exclusion(*row.values()) for row in index.to_pylist()}
    assert set(found(images(collection), level=level, on_conflict=policy)) == expected
    assert {row.outcome for row in expected} == {"duplicate", "conflict", "rejected"}


@pytest.mark.slow
def test_rows_depend_on_the_set_alone_not_on_order_bundles_or_workers(
    collection, expected, monkeypatch
):
    """With small chunks and groups, so that an influence of order or bundles would be visible."""
    elements = images(collection)
    monkeypatch.setattr(order_by_key, "_ROWS_PER_GROUP", 5)
    for chunk, seed in ((256, 0), (1, 1), (3, 2)):
        monkeypatch.setattr(module, "_BATCH", chunk)
        random.Random(seed).shuffle(elements)
        halves = (elements[: seed + 3], elements[seed + 3 :])

        def build(pipeline, halves=halves):
            parts = [
                pipeline | f"Part{number}" >> beam.Create(part, reshuffle=bool(number))
                for number, part in enumerate(halves)
            ]
            return parts | beam.Flatten() | FindDuplicates()

        assert sorted(gathered(build)) == expected


@pytest.mark.slow
def test_two_scan_processes_give_the_rows_of_one(collection, expected):
    assert found(images(collection), workers=2) == expected


@pytest.mark.moderate
def test_keys_with_equal_hashes_give_the_same_rows(collection, expected, monkeypatch):
    monkeypatch.setattr(module, "keyed_hash", lambda seed, purpose, key: 7)
    assert found(images(collection)) == expected


@pytest.mark.moderate
def test_a_chunk_number_that_is_in_use_is_not_given_again(collection, monkeypatch):
    numbers = iter([5, 5, 5, 6, 5, 6, *range(100, 200)])
    monkeypatch.setattr(module.secrets, "randbits", lambda bits: next(numbers))
    monkeypatch.setattr(module, "_BATCH", 4)
    elements = images(collection)
    assert by_outcome(found(elements))["conflict"]
    assert next(numbers) > 100


@pytest.mark.moderate
def test_a_repeated_key_fails_with_one_sentence(collection):
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(RunError, match="Each key must be unique, but 'twice' came twice"):
            found([("twice", photo(1, 1)), ("once", photo(1, 2)), ("twice", photo(1, 3))])
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("element", [("key", "text"), (1, b"bytes"), "text", ("\ud800", b"")])
def test_an_element_of_another_type_fails_with_one_sentence(element):
    with pytest.raises(UsageError, match=r"^Each (element|key) must be .* convert it\."):
        module.as_image(element)


@pytest.mark.moderate
def test_an_unreadable_image_of_read_images_keeps_its_reason(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "gone.jpg").symlink_to("/does/not/exist.jpg")
    (tmp_path / "ada" / "there.png").write_bytes(photo(1, 1))
    (row,) = gathered(lambda pipeline: pipeline | ReadImages(tmp_path) | FindDuplicates())
    assert (row.key, row.outcome, row.duplicate_of) == ("ada/gone.jpg", "rejected", None)
    assert "leads out" in row.reason
    assert row.reason_code == "link_out_of_input"


@pytest.mark.moderate
def test_no_elements_give_no_rows():
    assert found([]) == []


@pytest.mark.moderate
def test_elements_of_different_windows_are_compared():
    def build(pipeline):
        pairs = [("a", photo(1, 1)), ("b", photo(1, 1))]
        return (
            pipeline
            | beam.Create(list(enumerate(pairs)))
            | beam.MapTuple(lambda at, pair: beam.window.TimestampedValue(pair, 100 * at))
            | beam.WindowInto(beam.window.FixedWindows(10))
            | FindDuplicates()
        )

    assert [row.key for row in gathered(build)] == ["b"]


@pytest.mark.moderate
def test_the_staging_folder_is_removed_at_the_end(collection, tmp_path):
    assert found(images(collection), temp_location=tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []


@pytest.mark.moderate
def test_the_pipelines_temp_location_is_used(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(module.storage, "remove", seen.append)
    pair = [("a", photo(1, 1)), ("b", photo(1, 1))]
    gathered(
        lambda pipeline: pipeline | beam.Create(pair) | FindDuplicates(),
        f"--temp_location={tmp_path}",
    )
    (staging,) = seen
    assert os.path.dirname(staging) == str(tmp_path)


def test_a_remote_runner_without_a_temp_location_is_refused():
    options = PipelineOptions(["--job_endpoint=localhost:1"])
    pipeline = beam.Pipeline(runner=PortableRunner(), options=options)
    with pytest.raises(UsageError, match=r"all workers of PortableRunner .* give temp_location\."):
        pipeline | beam.Create([("a", b"")]) | FindDuplicates()


def test_a_temp_location_on_an_object_store_is_refused():
    with pytest.raises(UsageError, match=r"^`temp_location` must be a path on a disk"):
        beam.Pipeline() | beam.Create([]) | FindDuplicates(temp_location="gs://bucket/temp")


def test_an_unbounded_collection_is_refused():
    elements = beam.Pipeline() | beam.Create([])
    elements.is_bounded = False
    with pytest.raises(UsageError, match="bounded collection"):
        elements | FindDuplicates()


@pytest.mark.parametrize(
    "given", [{"level": "off"}, {"level": "fuzzy"}, {"on_conflict": "keep"}, {"workers": 0}]
)
def test_arguments_out_of_range_are_refused(given):
    with pytest.raises(UsageError, match="must be"):
        FindDuplicates(**given)
