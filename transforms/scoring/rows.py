"""What is known of one image while it is scored."""

from dataclasses import dataclass


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
