"""Tar shards for tests, and what the source lists of them."""

import io
import tarfile

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.webdataset import WebDataset


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.type = kind
    info.linkname = link
    return info, data


def tar_of(*members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_with(**members: bytes) -> bytes:
    return tar_of(*(member(name, data) for name, data in members.items()))


def listed_in(root, **options) -> list[Ref]:
    source = WebDataset(str(root), **options)
    return [ref for task in source.tasks() for ref in source.refs(task)]


def labels_of(refs: list[Ref]) -> dict[str, str | None]:
    assert [ref.reason for ref in refs] == [None] * len(refs)
    return {ref.image_id: ref.identity for ref in refs}
