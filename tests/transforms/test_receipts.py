import itertools

import apache_beam as beam

from transforms import receipts

SOME = [{"path": "b", "bytes": 2}, {"bytes": 1, "path": "a"}, {"path": "ü", "bytes": 3}]


def written(path, some) -> bytes:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(some) | receipts.WriteReceipts(str(path))
    return path.read_bytes()


def test_receipts_come_back_in_one_order(tmp_path):
    orders = list(itertools.permutations(SOME))[::2]
    assert len({written(tmp_path / str(number), one) for number, one in enumerate(orders)}) == 1
    assert sorted(receipts.read(str(tmp_path / "0")), key=lambda one: one["path"]) == [
        {"path": "a", "bytes": 1},
        {"path": "b", "bytes": 2},
        {"path": "ü", "bytes": 3},
    ]


def test_nothing_to_say_is_no_receipts(tmp_path):
    assert receipts.read(str(tmp_path / "absent")) == []
