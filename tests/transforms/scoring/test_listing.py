import pytest
from transforms.rows import Ref

from transforms import tfrecord
from transforms.errors import RunError
from transforms.listing import CHUNK
from transforms.records import Record
from transforms.scoring.listing import of_files, of_shard
from transforms.scoring.rows import Source


def record(number: int, identity: str = "a") -> bytes:
    return Record(f"{number:04d}", identity, b"jpeg", (0.0,) * 3, (0.0,) * 3).to_example()


def shard(root, payloads: list[bytes]) -> list[int]:
    (root / "train").mkdir()
    with (root / "train/part.tfrecord").open("wb") as stream:
        return [offset for offset, _ in tfrecord.write(stream, payloads)]


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1])
def test_every_record_of_a_shard_is_listed_with_its_place(tmp_path, count):
    offsets = shard(tmp_path, [record(number) for number in range(count)])
    chunks = list(of_shard("train/part.tfrecord", str(tmp_path)))
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert [one for chunk in chunks for one in chunk] == [
        Source(f"{number:04d}", "a", "train/part.tfrecord", offset)
        for number, offset in enumerate(offsets)
    ]


def test_a_record_of_nobody_has_no_identity(tmp_path):
    shard(tmp_path, [record(1, "")])
    ((source,),) = of_shard("train/part.tfrecord", str(tmp_path))
    assert source.identity is None


def test_a_damaged_shard_is_refused(tmp_path):
    shard(tmp_path, [record(1), b"no example"])
    with pytest.raises(RunError, match="A record must"):
        list(of_shard("train/part.tfrecord", str(tmp_path)))


def test_a_file_at_the_top_can_be_scored_and_other_reasons_stay():
    refs = [Ref("top.jpg", None, "lies in no identity's folder"), Ref("x", "x", "a bad name")]
    assert [(one.image_id, one.reason) for one in of_files(refs)] == [
        ("top.jpg", ""),
        ("x", "a bad name"),
    ]
