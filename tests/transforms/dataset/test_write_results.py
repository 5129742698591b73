import itertools

import apache_beam as beam
import pytest

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import write_results

SOME = [{"path": "b", "bytes": 2}, {"bytes": 1, "path": "a"}, {"path": "ü", "bytes": 3}]


def written(path, some) -> bytes:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = {str(path): pipeline | beam.Create(some)} | write_results.WriteReceipts()
    return path.read_bytes()


@pytest.mark.moderate
def test_receipts_are_written_in_one_order(tmp_path):
    orders = list(itertools.permutations(SOME))[::2]
    assert len({written(tmp_path / str(number), one) for number, one in enumerate(orders)}) == 1
    assert sorted(write_results.read(str(tmp_path / "0")), key=lambda one: one["path"]) == [
        {"path": "a", "bytes": 1},
        {"path": "b", "bytes": 2},
        {"path": "ü", "bytes": 3},
    ]


def test_a_file_is_written_even_without_receipts(tmp_path):
    assert written(tmp_path / "nothing", []) == b"[]\n"
    assert write_results.read(str(tmp_path / "nothing")) == []


def test_several_files_are_written_at_once_and_numbers_are_added(tmp_path):
    paths = [str(tmp_path / name) for name in ("parts.json", "listed.json", "ignored.json")]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        start = pipeline | beam.Impulse()
        parts = start | beam.FlatMap(lambda _: SOME)
        numbers = pipeline | beam.Create([{"listed": 3}, {"listed": 0}, {"listed": 4}])
        none = numbers | beam.Filter(lambda _: False)
        zeros = {paths[1]: {"listed": 0}, paths[2]: {"ignored": 0}}
        _ = dict(zip(paths, (parts, numbers, none), strict=True)) | (
            write_results.WriteReceipts(zeros, start)
        )
    assert len(write_results.read(paths[0])) == 3
    assert write_results.read(paths[1]) == [{"listed": 7}]
    assert write_results.read(paths[2]) == [{"ignored": 0}]


def test_absent_receipts_are_an_error_except_for_read_if_written(tmp_path):
    path = tmp_path / "receipts"
    assert write_results.read_if_written(str(path)) is None
    written(path, SOME[:1])
    assert write_results.read_if_written(str(path)) == write_results.read(str(path)) == SOME[:1]
    with pytest.raises(RunError, match=r"`output` must be on storage that.*absent, which a worker"):
        write_results.read(str(tmp_path / "absent"))


def test_a_worker_does_not_make_the_folder_of_its_receipts(tmp_path):
    with pytest.raises(RunError, match="`output` must be on storage"):
        written(tmp_path / ".work-1" / "receipts", SOME)
    assert not list(tmp_path.iterdir())
