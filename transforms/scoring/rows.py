"""What is known of one image while it is scored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where one image's bytes are.

    Attributes:
        image_id: stable key.
        identity: whose face it is, or None where the source does not say.
        path: of the file, relative to the input.
        offset: of the record in a shard; None for a file that is the image itself.
        reason: why it cannot be used, when the listing knows that already; else "".
    """

    image_id: str
    identity: str | None
    path: str
    offset: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of `errors/`.

    Attributes:
        image_id: stable key.
        source: where the bytes came from, relative to the input.
        reason: why there is no embedding.
    """

    image_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scored:
    """One image with an embedding.

    Attributes:
        image_id: stable key.
        source: where the bytes came from, relative to the input.
        identity: whose face it is, or None.
        embedding: float32 [D], little-endian bytes.
    """

    image_id: str
    source: str
    identity: str | None
    embedding: bytes
