import dataclasses
import pickle
import unicodedata
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.row_ids import BASE, CHUNK, HELD_OUT, NEW, origin_of_chunk
from facemill.transforms.dataset.identity_names import MATCHES, compared_form
from facemill.transforms.scan import listing
from facemill.transforms.scan.listing import Chunk, all_chunks, group_tasks, image_key, list_chunks
from facemill.transforms.sources.base import Ref, Source
from facemill.transforms.sources.folders import NO_FOLDER, Folders
from facemill.transforms.sources.labels import MORE_THAN_ONE_LINE


class Counted(Source):
    """A source whose tasks have the given numbers of images."""

    format = "counted"

    def __init__(self, sizes: list[int]) -> None:
        super().__init__("/nowhere")
        self.sizes = sizes

    def tasks(self) -> list[str]:
        return [str(task) for task in range(len(self.sizes))]

    def refs(self, task: str) -> Iterator[Ref]:
        for number in range(self.sizes[int(task)]):
            yield Ref(f"{task}/{number}.jpg", task, f"{task}/{number}.jpg")

    def read(self, refs):
        raise NotImplementedError


def listed(source: Source, origin: int = NEW, base_keys: str | None = None) -> list[Chunk]:
    groups = enumerate(group_tasks(source.tasks()))
    return [chunk for group in groups for chunk in list_chunks(group, source, origin, base_keys)]


class Spelled(Counted):
    """A source of one image for each spelling of a name."""

    def __init__(self, names: list[str]) -> None:
        super().__init__([len(names)])
        self.names = names

    def refs(self, task: str) -> Iterator[Ref]:
        return (Ref(f"{n}.jpg", name, f"{n}.jpg") for n, name in enumerate(self.names))


@pytest.mark.moderate
@given(st.text(max_size=20), st.sampled_from([NEW, BASE, HELD_OUT]), st.sampled_from(MATCHES))
@settings(deadline=None)
def test_spellings_of_one_name_are_one_identity_whatever_the_source(name, origin, match):
    spellings = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    source = Spelled([*spellings, f" {name}\u3000", f"\t{spellings[1]} "])
    source.match_names = match
    (chunk,) = listed(source, origin)
    identities = {ref.identity for ref in chunk.refs}
    assert identities == {compared_form(name, match)}
    for ref, spelled in zip(chunk.refs, source.names, strict=True):
        changed = ref.identity is not None and ref.identity != spelled
        assert ref.identity_source == (spelled if changed else None)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_group_tasks_keeps_every_part_once_and_in_order(count):
    tasks = [str(task) for task in range(count)]
    groups = group_tasks(tasks)
    assert [task for group in groups for task in group] == tasks
    assert all(groups)
    # Few parts are not grouped, so that many workers can list them.
    assert len(groups) >= min(count, 64)
    assert max(map(len, groups), default=0) <= 64


@pytest.mark.slow
@given(st.lists(st.integers(0, 700), max_size=6), st.sampled_from([NEW, BASE, HELD_OUT]))
@settings(deadline=None, max_examples=40)
def test_every_image_is_in_one_chunk_and_chunk_numbers_are_reproducible(sizes, origin):
    source = Counted(sizes)
    chunks = listed(source, origin)
    found = [ref for chunk in chunks for ref in chunk.refs]
    assert found == [ref for task in source.tasks() for ref in source.refs(task)]
    numbers = [chunk.number for chunk in chunks]
    assert len(set(numbers)) == len(numbers)
    assert {origin_of_chunk(number) for number in numbers} <= {origin}
    assert all(1 <= chunk.count <= CHUNK and chunk.count == len(chunk.refs) for chunk in chunks)
    assert listed(source, origin) == chunks


def test_held_out_images_without_an_identity_are_used(tmp_path):
    (tmp_path / "ada").mkdir()
    for name in ("ada/1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "3.jpg").symlink_to("/nowhere")
    source = Folders(str(tmp_path))
    new, held = (
        {ref.image_id: ref for chunk in listed(source, origin) for ref in chunk.refs}
        for origin in (NEW, HELD_OUT)
    )
    assert new["2.jpg"].reason == NO_FOLDER
    assert held["2.jpg"] == dataclasses.replace(new["2.jpg"], reason=None)
    assert held["3.jpg"] == new["3.jpg"] != held["2.jpg"]
    assert held["ada/1.jpg"] == new["ada/1.jpg"]


def test_an_identity_with_a_line_break_is_accepted_only_in_a_held_out_set(tmp_path):
    # The vocabulary has one identity on each line; a held-out set adds none to it.
    (tmp_path / "ada\nlovelace").mkdir()
    (tmp_path / "ada\nlovelace/1.jpg").write_bytes(b"x")
    source = Folders(str(tmp_path))
    new, held = (
        [ref.reason for chunk in listed(source, origin) for ref in chunk.refs]
        for origin in (NEW, HELD_OUT)
    )
    assert new == [MORE_THAN_ONE_LINE]
    assert held == [None]


def test_small_parts_share_chunks():
    assert [chunk.count for chunk in listed(Counted([1] * 64 * 4))] == [4] * 64
    # Up to 64 parts each are listed by themselves.
    assert [chunk.count for chunk in listed(Counted([1] * 64))] == [1] * 64


def test_images_of_the_base_are_left_out_and_counted(tmp_path):
    source = Counted([300, 5])
    every = [ref.image_id for task in source.tasks() for ref in source.refs(task)]
    base = every[::3]
    keys = np.sort(np.array([image_key(key) for key in base], np.uint64))
    np.save(tmp_path / "base.npy", keys)
    chunks = listed(source, NEW, str(tmp_path / "base.npy"))
    left = [ref.image_id for chunk in chunks for ref in chunk.refs]
    assert left == [key for key in every if key not in set(base)]
    assert sum(chunk.passed_over for chunk in chunks) == len(base)
    everything = np.sort(np.array([image_key(key) for key in every], np.uint64))
    np.save(tmp_path / "base.npy", everything)
    nothing = listed(source, NEW, str(tmp_path / "base.npy"))
    assert [chunk.refs for chunk in nothing] == [[], []]
    assert [chunk.passed_over for chunk in nothing] == [300, 5]
    assert list(all_chunks(source, source.tasks(), str(tmp_path / "base.npy"))) == []


def test_a_chunk_packs_its_references_and_is_small():
    refs = [
        Ref(
            f"a/{number}.jpg",
            None,
            f"a/{number}.jpg",
            7,
            8,
            "why",
            "val",
            (1.0,) * 10,
            (("k", "v"),),
        )
        for number in range(CHUNK)
    ]
    chunk = Chunk.of(17, refs)
    assert (chunk.number, chunk.count, chunk.refs) == (17, CHUNK, refs)
    assert pickle.loads(zlib.decompress(chunk.packed)) == refs
    assert len(chunk.packed) < len(pickle.dumps(refs)) / 4


def test_a_part_with_too_many_images_is_an_error_in_one_sentence(monkeypatch):
    monkeypatch.setattr(listing, "MAX_CHUNKS", 2)
    assert len(listed(Counted([2 * CHUNK]))) == 2
    with pytest.raises(RunError, match="at most 512 images, got more in 0; divide it"):
        listed(Counted([2 * CHUNK + 1]))


def test_too_many_parts_are_an_error_in_one_sentence(monkeypatch):
    monkeypatch.setattr(listing, "MAX_TASKS", 70)
    assert len(group_tasks(["x"] * 70)) == 70
    assert len(group_tasks(["x"] * 70 * 64)) == 70
    with pytest.raises(RunError, match="at most 4,480 parts, got 4,481; divide it"):
        group_tasks(["x"] * (70 * 64 + 1))
