"""What an ingest run says of the set that nothing may be shared with."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import HELD_OUT_IMAGE, ReasonCode
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.artifact import Work

# What the graph writes of it.
HELD_OUT_COUNTS = "held_out.json"
NAMED = "named.json"
OVERLAP = "overlap.json"

# Reasons in a manifest.
_REASONS = 20


@dataclass(frozen=True)
class HeldOut:
    """What was held against the held-out set, and found in it.

    Attributes:
        listed: images of the set.
        usable: of these, how many the input was compared with as pictures.
        by_pixels: of the others, how many it was compared with by equal pixels alone.
        reasons: the most frequent ones why others are not usable, to their number.
        identities: how many the set names, by images usable or not.
        dropped_identity: images of the input that were dropped because it names whom they show.
        dropped_photo: images of the input that were dropped because it has the picture.
        fingerprint: hex; the same for the same set of (image_id, SHA-256 of file).
    """

    listed: int
    usable: int
    by_pixels: int
    reasons: dict[str, int]
    identities: int
    dropped_identity: int
    dropped_photo: int
    fingerprint: str

    @property
    def unusable(self) -> int:
        """How many the input was not compared with as pictures."""
        return self.listed - self.usable

    def to_manifest(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "listed": self.listed,
            "usable": self.usable,
            "unusable": self.unusable,
            "by_pixels": self.by_pixels,
            "reasons": self.reasons,
            "identities": self.identities,
            "dropped": {"identity": self.dropped_identity, "picture": self.dropped_photo},
            "fingerprint": self.fingerprint,
        }

    @property
    def words(self) -> list[str]:
        """In a few lines."""
        compared = f"{self.usable:,} of {self.listed:,} images of the held-out set were compared"
        if self.unusable:
            exact = f"{self.by_pixels:,} of the others by equal pixels alone" * bool(self.by_pixels)
            compared = (
                ", ".join(filter(None, [compared, exact])) + f" ({first_counted(self.reasons)})"
            )
        found = (
            f"identities that it names: {self.identities:,}; images that were dropped by "
            f"identity: {self.dropped_identity:,}, by picture: {self.dropped_photo:,}"
        )
        return [compared, found]


def read_held_out(work: Work, dropped: Counter[str]) -> HeldOut:
    """What was found of the held-out set.

    Args:
        work: the run.
        dropped: reason codes of the input's images to their number.

    Raises:
        RunError: there was nothing to compare with.
    """
    (counts,) = write_results.read(work.path(HELD_OUT_COUNTS))
    (named,) = write_results.read(work.path(NAMED))
    reasons = sorted(counts["reasons"].items(), key=lambda entry: (-entry[1], entry[0]))
    found = HeldOut(
        listed=counts["listed"],
        usable=counts["usable"],
        by_pixels=counts["by_pixels"],
        reasons=dict(reasons[:_REASONS]),
        identities=named["identities"],
        dropped_identity=dropped[ReasonCode.HELD_OUT_IDENTITY.value],
        dropped_photo=sum(dropped[code.value] for code in HELD_OUT_IMAGE),
        fingerprint=counts["fingerprint"],
    )
    if found.usable == 0:
        why = f" ({first_counted(found.reasons)})" if found.reasons else ""
        raise RunError(
            "--exclude-dataset must hold images that the input can be compared with, but none of "
            f"its {found.listed:,} can be used{why}; check its path and what it holds."
        )
    return found


def check_old_apart(work: Work) -> None:
    """Refuses a held-out set that the dataset which is added to shares something with.

    What is written already cannot be dropped, and must not be passed off as kept apart.

    Raises:
        RunError: it does.
    """
    (named,), (shown,) = (write_results.read(work.path(name)) for name in (NAMED, OVERLAP))
    if named["records"] or shown["records"]:
        names = ", ".join(shown["examples"])
        example = f", {names} among them" if names else ""
        raise RunError(
            "--append-to must share nothing with --exclude-dataset, since a version keeps all "
            f"records of the one before, but {named['records']:,} of its records show an identity "
            f"of the held-out set and {shown['records']:,} a picture of it{example}; ingest the "
            "whole collection anew."
        )
