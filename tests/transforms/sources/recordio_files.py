"""RecordIO files for tests, as insightface and im2rec write them."""

import struct
from pathlib import Path

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.recordio import RecordIO

MAGIC = struct.pack("<I", 0xCED7230A)


def frame(payload: bytes) -> bytes:
    """Frames of one record, the payload split where the magic number lies at a multiple of 4."""
    parts, start = [], 0
    for position in range(0, len(payload) - len(payload) % 4, 4):
        if payload[position : position + 4] == MAGIC:
            parts.append(payload[start:position])
            start = position + 4
    parts.append(payload[start:])
    out = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        kind = (3 if last else 2) if number else (0 if last else 1)
        out += MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    return out


def image(label: float, data: bytes, index: int = 0) -> bytes:
    return struct.pack("<IfQQ", 0, label, index, 0) + data


def labels(values: list[float], data: bytes = b"") -> bytes:
    return (
        struct.pack("<IfQQ", len(values), 0, 0, 0) + struct.pack(f"<{len(values)}f", *values) + data
    )


def write(root: Path, payloads: list[bytes], keys: list[int] | None = None) -> list[int]:
    """Writes both files and returns the offsets of the records."""
    offsets, rec = [], b""
    for payload in payloads:
        offsets.append(len(rec))
        rec += frame(payload)
    (root / "train.rec").write_bytes(rec)
    keys = list(range(len(payloads))) if keys is None else keys
    lines = "".join(f"{key}\t{offset}\n" for key, offset in zip(keys, offsets, strict=True))
    (root / "train.idx").write_text(lines)
    return offsets


def insightface(labeled: list[tuple[int, bytes]]) -> list[bytes]:
    """The layout of insightface: a header, the images, and a range of images for each identity."""
    first = len(labeled) + 1
    identities = sorted({label for label, _ in labeled})
    ranges = [labels([1, first]) for _ in identities]
    images = [image(label, data, i + 1) for i, (label, data) in enumerate(labeled)]
    return [labels([first, first + len(identities)]), *images, *ranges]


def listed(root: Path) -> list[Ref]:
    source = RecordIO(str(root))
    return [ref for task in source.tasks() for ref in source.refs(task)]


def metadata(refs: list[Ref]) -> dict[str, tuple[str | None, str]]:
    assert len({ref.image_id for ref in refs}) == len(refs)
    return {ref.image_id: (ref.identity, ref.reason) for ref in refs}


IMAGES = [(0, b"first"), (0, b"second!"), (7, b"third picture"), (10_571, MAGIC + b"abc" * 9)]


GOOD = {
    "train.rec/1": ("0", None),
    "train.rec/2": ("0", None),
    "train.rec/3": ("7", None),
    "train.rec/4": ("10571", None),
}
